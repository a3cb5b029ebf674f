// SPDX-License-Identifier: Apache-2.0
/// `ewma`: distance from an exponentially weighted mean, in exponentially weighted deviations.
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/detect/ewma/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The mean and variance move at 1/n down to 1/200 a reading, by no more than four deviations.
/// Cost: about 15 ns a reading; under 256 bytes.
class Ewma final : public Detector {
 public:
  explicit Ewma(const Settings& settings) : warmup_(settings.warmup) {}

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override { return sizeof(*this); }
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  struct State {
    double mean = 0;
    double variance = 0;
    double recent = 0;         ///< short mean, what accept_new_normal() takes
    std::uint64_t rows = 0;    ///< finite rows seen
    std::uint32_t learnt = 0;  ///< rows learnt, up to the slowest pace

    template <class A>
    void fields(A& archive) {
      archive(mean, variance, recent, rows, learnt);
    }
  };
  [[nodiscard]] std::uint64_t tag() const noexcept;

  std::uint32_t warmup_;
  State state_;
};

}  // namespace lapwing::detect
