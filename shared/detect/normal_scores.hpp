// SPDX-License-Identifier: Apache-2.0
/// How a trained detector's raw scores of normal rows are spread, from the quantiles that its
/// training left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Ranges of scores that partition all of them, with the share of normal rows in each.
struct ScoreBins {
  static constexpr std::size_t kBinsMax = 16;
  std::vector<float> edges;    ///< ascending; bin i is (edges[i - 1], edges[i]], the last is open
  std::vector<double> shares;  ///< edges.size() + 1; they add up to 1

  [[nodiscard]] std::size_t bin_of(float score) const noexcept;
};

/// Immutable: one serves all groups of a model.
struct NormalScores {
  static constexpr std::size_t kSampleMin = 100;
  static constexpr std::size_t kSampleMax = 10'000;

  std::vector<float> sample;  ///< as if of so many rows, in an order without a trend
  ScoreBins bins;             ///< about the deciles

  /// `shares[i]` of `rows` normal rows score at most `scores[i]`; both ascend, the last share is 1
  /// (what model::Model verifies). Empty: no sample.
  static NormalScores of(std::span<const double> shares, std::span<const float> scores,
                         std::uint64_t rows);
};

}  // namespace lapwing::detect
