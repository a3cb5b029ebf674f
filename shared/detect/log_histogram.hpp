// SPDX-License-Identifier: Apache-2.0
/// Counts of positive numbers in ranges whose width grows with the number: quantiles of what spans
/// many orders of magnitude, in fixed memory and mergeable.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace lapwing::detect {

/// 32 octaves of 32 equal ranges each, as HdrHistogram has them (Tene 2012): a quantile is off by
/// 1/64 of itself at most. What is smaller or greater counts in the first or last range.
/// Cost: a few ns to add; 4 KiB. Counts stop at 2^32 - 1.
class LogHistogram {
 public:
  /// The first range begins at 2^`lowest`.
  explicit LogHistogram(int lowest) noexcept : lowest_(lowest) {}

  void add(double value) noexcept {
    std::uint32_t& count = counts_[place_of(value)];
    if (count < std::numeric_limits<std::uint32_t>::max()) ++count;
  }
  void merge(const LogHistogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const std::uint64_t sum = std::uint64_t{counts_[i]} + other.counts_[i];
      counts_[i] = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
    }
  }
  /// The middle of the range that holds the number which `share` of all do not exceed; NaN where
  /// there is none.
  [[nodiscard]] double quantile(double share) const noexcept {
    std::uint64_t total = 0;
    for (const std::uint32_t count : counts_) total += count;
    const double rank = std::max(1.0, std::ceil(share * static_cast<double>(total)));
    double below = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      below += counts_[i];
      if (total > 0 && below >= rank) {
        const double step = (static_cast<double>(i % kSteps) + 0.5) / kSteps;
        return std::ldexp(1 + step, lowest_ + static_cast<int>(i / kSteps));
      }
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  static constexpr std::size_t kOctaves = 32;
  static constexpr std::size_t kSteps = 32;

  /// From the bits of a double: exponent, and the first five of its fraction.
  [[nodiscard]] std::size_t place_of(double value) const noexcept {
    const auto bits = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(value) >> 47);
    const std::int64_t place = bits - (std::int64_t{1023} + lowest_) * 32;
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(place, 0, static_cast<std::int64_t>(counts_.size()) - 1));
  }

  int lowest_;
  std::array<std::uint32_t, kOctaves * kSteps> counts_{};
};

}  // namespace lapwing::detect
