// SPDX-License-Identifier: Apache-2.0
/// What windows of a stream usually look like: the distance of the newest window to the nearest of
/// many remembered ones.
#pragma once

#include "shared/detect/auto/describe.hpp"
#include "shared/detect/auto/task.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect {

/// How a codebook learns from the window it is asked about.
enum class Growth : std::uint8_t {
  none,    ///< stays as it is
  settle,  ///< the nearest centroid moves towards a usual window
  grow,    ///< and windows far from all centroids become centroids while there is room
  renew,   ///< and when there is none, the least used centroids make room
};

/// `kCount` centroids of windows of `kDimensions` block means, a byte each with a scale of its own.
///
/// A window is `kDimensions` blocks of step() readings; it is looked at when a block is full, long
/// windows of single readings at every second one.
/// Newer blocks weigh more (exp(-i / (.5 d)), i from the newest). Distances are divided by their
/// own slow mean, so that 1 is usual. Online k-means with creation by distance (leader clustering,
/// Hartigan 1975): DETECTORS A of the design. Readings are in the stream's unit of spread.
class CodebookBase {
 public:
  [[nodiscard]] std::size_t step() const noexcept { return step_; }
  /// Distance of the newest window to its nearest centroid over the usual distance; held between
  /// windows, 0 before the first and while there is no centroid.
  [[nodiscard]] float score() const noexcept { return score_; }
  /// Centroids that there are, the first ones.
  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  /// The last push() completed a block and looked at a window.
  [[nodiscard]] bool fresh() const noexcept { return fresh_; }
  /// Windows repeat so well that a departure from all of them says something by itself.
  [[nodiscard]] bool repeats() const noexcept {
    return seen_ > kSeenMin && usual_ < kRepeating * size_;
  }

 protected:
  /// The parts whose size depends on the codebook.
  struct Parts {
    std::span<std::int8_t> codes;    ///< dimensions * count: see place_of()
    std::span<float> scales;         ///< per centroid: value of a code of 1
    std::span<std::uint8_t> hits;    ///< windows learnt, up to 255
    std::span<float> blocks;         ///< newest first
    std::span<const float> weights;  ///< of a block's difference
    View view;
  };
  void start(double length, std::size_t dimensions) noexcept;
  bool advance(std::span<float> blocks, float value) noexcept;
  static void describe(const Parts& parts, CodedWindow& window) noexcept {
    describe_window(parts.blocks, parts.weights, parts.view, window);
  }
  void judge(const Parts& parts, const CodedWindow& window, Nearest found, Growth growth,
             bool trusting) noexcept;
  void look(const Parts& parts, Growth growth, bool trusting) noexcept;
  [[nodiscard]] bool plausible(std::size_t count) const noexcept;

  template <class A>
  void base_fields(A& archive) {
    archive(step_, in_block_, blocks_seen_, used_, seen_, sum_, usual_, size_, score_, fresh_,
            odd_);
  }

 private:
  static constexpr float kRepeating = 0.25F;
  static constexpr std::uint32_t kSeenMin = 10;

  void learn(const Parts& parts, std::span<const float> window, std::size_t nearest, float distance,
             Growth growth) noexcept;

  std::uint32_t step_ = 1;
  std::uint32_t in_block_ = 0;
  std::uint32_t blocks_seen_ = 0;
  std::uint32_t used_ = 0;  ///< centroids
  std::uint32_t seen_ = 0;  ///< windows compared, up to a bound
  float sum_ = 0;           ///< of the readings of the unfinished block
  float usual_ = 0;         ///< mean distance
  float size_ = 0;          ///< mean length of a window
  float score_ = 0;
  bool fresh_ = false;
  bool odd_ = false;  ///< of blocks
};

template <std::size_t kCount, std::size_t kDimensions, View kView>
class Codebook : public CodebookBase {
  static_assert(kCount % 32 == 0 &&
                (kDimensions == 16 || kDimensions == 32 || kDimensions == kDimensionsMax));

 public:
  static constexpr std::size_t kCodes = kCount * kDimensions;

  /// Windows span about `length` readings (at least one a block).
  void start(double length) noexcept {
    *this = {};
    CodebookBase::start(length, kDimensions);
  }
  /// `codes`: kCodes bytes kept by the owner. `trusting`: the distance counts as usual whatever it
  /// is, as while warming up.
  void push(std::span<std::int8_t> codes, float value, Growth growth, bool trusting) noexcept {
    if (advance(value)) look(parts(codes), growth, trusting);
  }

  /// push() in steps, for owners that search for many streams at once (CodebookBatch): true when a
  /// window is due, to be described, searched for and judged before the next reading.
  [[nodiscard]] bool advance(float value) noexcept { return CodebookBase::advance(blocks_, value); }
  void describe(CodedWindow& window) noexcept { CodebookBase::describe(parts({}), window); }
  /// `found` is of no meaning while there is no centroid.
  void judge(std::span<std::int8_t> codes, const CodedWindow& window, Nearest found, Growth growth,
             bool trusting) noexcept {
    CodebookBase::judge(parts(codes), window, found, growth, trusting);
  }
  [[nodiscard]] std::span<const float> scales() const noexcept { return scales_; }

  [[nodiscard]] bool plausible() const noexcept { return CodebookBase::plausible(kCount); }

  template <class A>
  void fields(A& archive) {
    base_fields(archive);
    archive(scales_, hits_, blocks_);
  }

 private:
  static std::span<const float> weights() noexcept;
  [[nodiscard]] Parts parts(std::span<std::int8_t> codes) noexcept {
    return {.codes = codes,
            .scales = scales_,
            .hits = hits_,
            .blocks = blocks_,
            .weights = weights(),
            .view = kView};
  }

  std::array<float, kCount> scales_{};
  std::array<std::uint8_t, kCount> hits_{};
  std::array<float, kDimensions> blocks_{};
};

/// exp(-i / (.5 dimensions)), scaled to a mean of 1, square roots.
void fill_block_weights(std::span<float> weights) noexcept;

template <std::size_t kCount, std::size_t kDimensions, View kView>
std::span<const float> Codebook<kCount, kDimensions, kView>::weights() noexcept {
  static const auto kWeights = [] {
    std::array<float, kDimensions> weights{};
    fill_block_weights(weights);
    return weights;
  }();
  return kWeights;
}

}  // namespace lapwing::detect
