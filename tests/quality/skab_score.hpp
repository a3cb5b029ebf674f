// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::quality {

/// Rows of the Skoltech benchmark's runs, by what they are and what was said of them. Every row
/// counts by itself: an anomaly that is met once is not met throughout (no point adjustment).
struct SkabScore {
  std::size_t hits = 0;
  std::size_t misses = 0;
  std::size_t false_alarms = 0;
  std::size_t quiet = 0;  ///< rightly

  /// Adds the rows of one run, without those it was trained on. Both are 0 or 1, as long as each
  /// other.
  void add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> alarms);
  void add(const SkabScore& other);
  /// 2 / (1 / precision + 1 / recall); 0 without a hit.
  [[nodiscard]] double f1() const;
  /// False alarm rate, per cent of the normal rows.
  [[nodiscard]] double far() const;
};

}  // namespace lapwing::quality
