// SPDX-License-Identifier: Apache-2.0
/// `auto` for groups: the shape of every sensor's course, and the dynamics between the sensors.
#pragma once

#include "shared/detect/auto_group/channels.hpp"
#include "shared/detect/auto_group/dynamics.hpp"
#include "shared/detect/auto_group/history.hpp"
#include "shared/detect/auto_group/kind.hpp"
#include "shared/detect/auto_group/shape.hpp"
#include "shared/detect/detector.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Learns once, in the row that ends the warm-up, and stays as it is (see `adapt`); README.md has
/// the method, its cost and its memory.
///
/// The score is 1 where one row in a hundred of the warm-up would be, judged by a model of the
/// other half of it. Contributions: each sensor's part in the logarithm of the score.
class AutoGroup final : public Detector {
 public:
  explicit AutoGroup(const Settings& settings);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  [[nodiscard]] std::span<const float> warmup_scores() const noexcept override;
  /// Learns anew from the last rows, as many as the warm-up had.
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  struct State {
    explicit State(const Settings& settings);

    std::uint64_t rows = 0;
    std::uint64_t learnt_at = 0;  ///< row of the last training
    std::uint64_t loud_at = 0;    ///< last row that stood out, or was not to be learnt
    float shape_unit = 1;         ///< 99 % quantile in the warm-up
    float dynamics_unit = 1;
    group::History history;
    group::Channels channels;
    group::Shape shape;
    group::Dynamics dynamics;

    template <class A>
    void fields(A& archive) {
      archive(rows, learnt_at, loud_at, shape_unit, dynamics_unit);
      archive(history, channels, shape, dynamics);
    }
  };
  void learn() noexcept;
  void replay() noexcept;
  float score_row(std::span<const double> row, bool learn) noexcept;
  [[nodiscard]] float strangeness() const noexcept;
  [[nodiscard]] float joined(float shape, float dynamics) const noexcept;
  void contribute(std::span<float> out) const noexcept;
  [[nodiscard]] bool plausible() const noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  Settings settings_;
  std::uint32_t warmup_;
  std::uint64_t adapt_;
  State state_;
  std::vector<float> column_;
  std::vector<float> honest_;  ///< of the rows learnt from
  std::vector<float> honest_dynamics_;
  std::size_t honest_from_ = 0;
};

}  // namespace lapwing::detect
