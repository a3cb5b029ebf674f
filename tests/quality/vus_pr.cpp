// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/vus_pr.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

namespace lapwing::quality {
namespace {

constexpr std::size_t kLevels = 250;

struct Segment {
  std::size_t first = 0;
  std::size_t last = 0;
};

std::vector<Segment> segments_of(std::span<const std::uint8_t> labels) {
  std::vector<Segment> list;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == 0) continue;
    if (i == 0 || labels[i - 1] == 0) list.push_back({i, i});
    list.back().last = i;
  }
  return list;
}

/// Thresholds at even ranks, and how many rows each takes.
struct Levels {
  std::array<float, kLevels> threshold{};
  std::array<std::size_t, kLevels> taken{};

  explicit Levels(std::span<const float> scores) {
    std::vector<float> sorted(scores.begin(), scores.end());
    std::ranges::sort(sorted, std::greater{});
    for (std::size_t k = 0; k < kLevels; ++k) {
      const double rank = static_cast<double>(sorted.size() - 1) * static_cast<double>(k) /
                          static_cast<double>(kLevels - 1);
      threshold[k] = k + 1 == kLevels ? sorted.back() : sorted[static_cast<std::size_t>(rank)];
      const auto end = std::upper_bound(sorted.begin(), sorted.end(), threshold[k], std::greater{});
      taken[k] = static_cast<std::size_t>(end - sorted.begin());
    }
  }
  /// The first level that takes a row of this score; kLevels when none does.
  [[nodiscard]] std::size_t of(float score) const {
    const auto at = std::lower_bound(threshold.begin(), threshold.end(), score, std::greater{});
    return static_cast<std::size_t>(at - threshold.begin());
  }
};

/// Labels softened by a buffer on both sides of each segment.
class Buffered {
 public:
  Buffered(std::span<const std::uint8_t> labels, std::span<const float> scores,
           std::span<const Segment> segments)
      : labels_(labels),
        scores_(scores),
        segments_(segments),
        levels_(scores),
        soft_(labels.size()) {
    positives_ = static_cast<double>(std::accumulate(labels.begin(), labels.end(), 0L));
  }

  /// Area under precision and recall for buffers of `window / 2` rows a side.
  double area(std::size_t window) {
    soften(window);
    std::array<double, kLevels + 1> hits{};     // softened label mass a level is the first to take
    std::array<double, kLevels + 1> outside{};  // of these, in the buffers only
    std::array<double, kLevels + 1> found{};    // segments a level is the first to touch
    double pieces = 0;
    const std::size_t half = window / 2;
    for (std::size_t k = 0; k < segments_.size();) {  // segments whose buffers touch are one piece
      const std::size_t from = segments_[k].first - std::min(half, segments_[k].first);
      while (k + 1 < segments_.size() &&
             segments_[k].last + half + half >= segments_[k + 1].first) {
        ++k;
      }
      const std::size_t to = std::min(segments_[k].last + half, labels_.size() - 1);
      std::size_t first_level = kLevels;
      for (std::size_t i = from; i <= to; ++i) {
        const std::size_t level = levels_.of(scores_[i]);
        first_level = std::min(first_level, level);
        const double mass = std::min(soft_[i], 1.0);
        hits[level] += mass;
        if (labels_[i] == 0) outside[level] += mass;
      }
      found[first_level] += 1;
      pieces += 1;
      ++k;
    }
    double area = 0;
    double hit = 0;
    double buffer = 0;
    double touched = 0;
    double recall_before = 0;
    for (std::size_t k = 0; k < kLevels; ++k) {
      hit += hits[k];
      buffer += outside[k];
      touched += found[k];
      const double wanted = (2 * positives_ + buffer) / 2;
      const double recall = std::min(hit / wanted, 1.0) * touched / pieces;
      area += (recall - recall_before) * hit / static_cast<double>(levels_.taken[k]);
      recall_before = recall;
    }
    return area;
  }

 private:
  void soften(std::size_t window) {
    const std::size_t half = window / 2;
    const std::size_t rows = labels_.size();
    for (const auto& [first, last] : segments_) {
      const std::size_t to = std::min(last + half, rows - 1);
      for (std::size_t i = first - std::min(half, first); i <= to; ++i) soft_[i] = labels_[i];
    }
    if (window == 0) return;
    const auto weight = [window](std::size_t away) {
      return std::sqrt(1 - static_cast<double>(away) / static_cast<double>(window));
    };
    for (const auto& [first, last] : segments_) {
      for (std::size_t i = last + 1; i < std::min(last + half + 1, rows); ++i) {
        soft_[i] += weight(i - last);
      }
      for (std::size_t i = first - std::min(half, first); i < first; ++i) {
        soft_[i] += weight(first - i);
      }
    }
  }

  std::span<const std::uint8_t> labels_;
  std::span<const float> scores_;
  std::span<const Segment> segments_;
  Levels levels_;
  std::vector<double> soft_;
  double positives_ = 0;
};

}  // namespace

double vus_pr(std::span<const std::uint8_t> labels, std::span<const float> scores,
              std::size_t window) {
  const auto segments = segments_of(labels);
  if (segments.empty()) return std::nan("");
  Buffered buffered(labels, scores, segments);
  double sum = 0;
  for (std::size_t w = 0; w <= window; ++w) sum += buffered.area(w);
  return sum / static_cast<double>(window + 1);
}

}  // namespace lapwing::quality
