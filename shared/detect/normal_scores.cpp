// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/normal_scores.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr double kBinShare = 0.1 - 1e-9;
constexpr std::uint64_t kOrderSeed = 1;

/// The score at a share, on straight lines between the quantiles.
float at_share(std::span<const double> shares, std::span<const float> scores, double share) {
  const auto above = std::ranges::lower_bound(shares, share);
  const auto i = static_cast<std::size_t>(above - shares.begin());
  if (i == 0) return scores.front();
  if (i == shares.size()) return scores.back();
  const double width = shares[i] - shares[i - 1];
  const double part = width > 0 ? (share - shares[i - 1]) / width : 1;
  return static_cast<float>(static_cast<double>(scores[i - 1]) +
                            part * (static_cast<double>(scores[i]) - scores[i - 1]));
}

ScoreBins bins_of(std::span<const double> shares, std::span<const float> scores) {
  ScoreBins bins;
  double taken = 0;
  for (std::size_t i = 0; i + 1 < shares.size(); ++i) {
    if (scores[i + 1] <= scores[i]) continue;  // as many more score exactly this
    if (shares[i] - taken < kBinShare || 1 - shares[i] < kBinShare) continue;
    if (bins.edges.size() + 1 == ScoreBins::kBinsMax) break;
    bins.edges.push_back(scores[i]);
    bins.shares.push_back(shares[i] - taken);
    taken = shares[i];
  }
  bins.shares.push_back(1 - taken);
  return bins;
}

}  // namespace

std::size_t ScoreBins::bin_of(float score) const noexcept {
  std::size_t bin = 0;
  while (bin < edges.size() && score > edges[bin]) ++bin;
  return bin;
}

NormalScores NormalScores::of(std::span<const double> shares, std::span<const float> scores,
                              std::uint64_t rows) {
  NormalScores normal{.sample = {}, .bins = bins_of(shares, scores)};
  if (shares.empty()) return normal;
  const auto count =
      static_cast<std::size_t>(std::clamp<std::uint64_t>(rows, kSampleMin, kSampleMax));
  normal.sample.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    normal.sample.push_back(at_share(shares, scores, share));
  }
  // Calibration counts onsets: high scores side by side would be one.
  Random random(kOrderSeed);
  for (std::size_t i = count; i > 1; --i) {
    std::swap(normal.sample[i - 1], normal.sample[random.below(i)]);
  }
  return normal;
}

}  // namespace lapwing::detect
