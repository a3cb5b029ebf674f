// SPDX-License-Identifier: Apache-2.0
/// `halfspace_trees`: how empty the space is where a row lies (Tan, Ting and Liu 2011).
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/detect/halfspace_trees/embedding.hpp"
#include "shared/detect/halfspace_trees/kind.hpp"
#include "shared/detect/halfspace_trees/mass.hpp"
#include "shared/detect/halfspace_trees/scaler.hpp"
#include "shared/detect/trees/walk.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Raw score: how many times emptier than if rows lay evenly, from about .01 where they are dense
/// to twice the window where none ever were. Rows much stranger than usual teach a sixteenth.
class HalfspaceTrees final : public Detector {
 public:
  /// Checked settings. `stream`: features of one stream; else the sensors of a group themselves.
  HalfspaceTrees(const Settings& settings, const halfspace_trees::Shape& shape, bool stream);

  Result<void> score(const Batch& batch, Scores out) override;
  [[nodiscard]] std::size_t warmup_rows() const noexcept override { return warmup_; }
  [[nodiscard]] bool warm() const noexcept override { return state_.rows >= warmup_; }
  void accept_new_normal() noexcept override;
  [[nodiscard]] std::size_t state_bytes() const noexcept override;
  void snapshot(std::vector<std::byte>& out) const override;
  Result<void> restore(std::span<const std::byte> bytes) override;

 private:
  struct State {
    explicit State(const halfspace_trees::Shape& shape)
        : scaler(shape.width), mass(shape), recent(std::size_t{shape.window} * shape.width) {}

    halfspace_trees::Scaler scaler;
    halfspace_trees::MassTrees mass;
    halfspace_trees::Embedding embedding;
    std::vector<double> recent;  ///< the last `window` rows of features
    std::uint64_t recent_rows = 0;
    std::uint64_t rows = 0;    ///< rows with a value
    std::uint32_t learnt = 0;  ///< since the mass was renewed
    float usual = 0;           ///< the log-density that 2 % of the rows do not reach
    bool begun = false;

    template <class A>
    void fields(A& archive) {
      archive(scaler, mass, embedding, recent, recent_rows, rows, learnt, usual, begun);
    }
  };
  /// Rows that are scored together: no mass is renewed between them.
  struct Block {
    std::size_t first;  ///< in the batch
    std::size_t count;
    std::uint64_t rows_before;  ///< State::rows
  };
  static constexpr std::size_t kGrid = trees::kBlockRows;

  [[nodiscard]] Block gather(const Batch& batch, std::size_t first) noexcept;
  /// The features of a row; false when it has no value.
  bool take(std::span<const double> row, std::span<double> features) noexcept;
  void score_block(const Batch& batch, const Block& block, const Scores& out) noexcept;
  /// How much a row is to count.
  float learn(float log_density) noexcept;
  void begin() noexcept;
  void renewed() noexcept;
  [[nodiscard]] std::size_t recent_count() const noexcept;
  [[nodiscard]] Band band(float band_score) const noexcept;
  [[nodiscard]] bool strange(float log_density) const noexcept;
  [[nodiscard]] Cause cause(std::span<const float> scaled) const noexcept;
  void reset() noexcept;
  [[nodiscard]] bool sound() const noexcept;
  [[nodiscard]] std::uint64_t tag() const noexcept;

  halfspace_trees::Shape shape_;
  std::uint32_t warmup_;
  bool stream_;
  State state_;
  // Derived from the state, or for one call.
  std::size_t stride_;
  std::vector<float> scaled_;          ///< the rows of a block
  std::vector<std::uint32_t> places_;  ///< of those rows' words
  std::array<std::uint32_t, trees::kBlockRows> sums_{};
  std::array<float, trees::kBlockRows> shares_{};  ///< how much those rows count
  std::array<bool, trees::kBlockRows> missing_{};
  std::vector<double> features_;
  std::vector<double> scratch_;
  std::array<float, kGrid> grid_{};  ///< raw scores of values after usual ones
};

}  // namespace lapwing::detect
