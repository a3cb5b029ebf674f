// SPDX-License-Identifier: Apache-2.0
/// The Numenta Anomaly Benchmark's score, from its published rules (Lavin and Ahmad, 2015).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace lapwing::quality {

/// What a hit, a false alarm and a miss weigh.
struct NabProfile {
  double hit = 1;
  double false_alarm = 0.11;
  double miss = 1;
};
inline constexpr NabProfile kNabStandard{};
inline constexpr NabProfile kNabLowFp{.false_alarm = 0.22};
inline constexpr NabProfile kNabLowFn{.miss = 2};

struct NabFile {
  std::vector<float> scores;  ///< one per row; an alarm is a score at or above the threshold
  /// Labelled windows as first and last row, in order, disjoint.
  std::vector<std::pair<std::size_t, std::size_t>> windows;
};

struct NabResult {
  double score = 0;  ///< 0: as good as silence; 100: every window hit at its start, no false alarm
  double threshold = 0;  ///< the one that gives it
  std::size_t windows_hit = 0;
  std::size_t windows = 0;
  std::size_t false_rows = 0;
};

/// The first 15 % of a file, at most 750 rows, are not judged.
[[nodiscard]] std::size_t nab_probation(std::size_t rows) noexcept;

/// The score at `threshold`, or at the best one for these files when none is given.
[[nodiscard]] NabResult nab_score(std::span<const NabFile> files, const NabProfile& profile,
                                  std::optional<double> threshold = std::nullopt);

}  // namespace lapwing::quality
