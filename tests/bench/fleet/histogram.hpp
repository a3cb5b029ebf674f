// SPDX-License-Identifier: Apache-2.0
/// Counts of durations by size, for percentiles over millions of records.
#pragma once

#include "shared/base/time.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace lapwing::fleet {

/// Buckets of a histogram: 32 to each power of two of microseconds, so a value is told within 3 %
/// (Gil Tene's HdrHistogram has the idea). What is beyond 18 minutes counts as that.
struct Buckets {
  static constexpr unsigned kBits = 5;
  static constexpr std::size_t kPerPower = std::size_t{1} << kBits;
  static constexpr unsigned kPowersMax = 30;
  static constexpr std::size_t kCount = (kPowersMax - kBits + 1) * kPerPower;

  [[nodiscard]] static std::size_t of(Micros value) noexcept {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0));
    if (us < kPerPower) return us;
    const auto power = static_cast<unsigned>(std::bit_width(us)) - 1;  // at least kBits
    if (power >= kPowersMax) return kCount - 1;
    return (power - kBits + 1) * kPerPower + ((us >> (power - kBits)) - kPerPower);
  }
  /// The upper end of what a bucket holds.
  [[nodiscard]] static Micros upper(std::size_t bucket) noexcept {
    if (bucket < kPerPower) return Micros(bucket);
    const auto power = static_cast<unsigned>(bucket / kPerPower) + kBits - 1;
    const std::uint64_t digit = bucket % kPerPower + kPerPower;
    return Micros(((digit + 1) << (power - kBits)) - 1);
  }
};

/// A histogram's counts at one time. Plain data; differences are of what came in between.
struct Counts {
  std::array<std::uint64_t, Buckets::kCount> counts{};

  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : counts) sum += count;
    return sum;
  }
  /// The value that this share of all values does not exceed; 0 when there are none.
  [[nodiscard]] Micros at(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total()));
    std::uint64_t seen = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      last = i;
      seen += counts[i];
      if (seen > wanted) break;
    }
    return Buckets::upper(last);
  }
  [[nodiscard]] Micros greatest() const noexcept { return at(1); }
  Counts& operator+=(const Counts& other) noexcept {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    return *this;
  }
  Counts& operator-=(const Counts& other) noexcept {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] -= other.counts[i];
    return *this;
  }
};

/// Threads: one adds, any read.
class Histogram {
 public:
  void add(Micros value, std::uint64_t times = 1) noexcept {
    counts_[Buckets::of(value)].fetch_add(times, std::memory_order_relaxed);
  }
  [[nodiscard]] Counts read() const noexcept {
    Counts counts;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      counts.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    return counts;
  }

 private:
  std::array<std::atomic<std::uint64_t>, Buckets::kCount> counts_{};
};

}  // namespace lapwing::fleet
