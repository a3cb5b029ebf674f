// SPDX-License-Identifier: Apache-2.0
/// Seeded numbers that are the same with every library and on every machine.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace lapwing::detect {

/// A number's bits, mixed (SplitMix64: Steele, Lea and Flood 2014).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t v) noexcept {
  v += 0x9E3779B97F4A7C15ULL;
  v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ULL;
  v = (v ^ (v >> 27)) * 0x94D049BB133111EBULL;
  return v ^ (v >> 31);
}

/// SplitMix64. Threads: distinct objects are safe.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t bits() noexcept {
    const std::uint64_t out = mixed(state_);
    state_ += 0x9E3779B97F4A7C15ULL;
    return out;
  }
  /// In [0, 1).
  double uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// In [0, end); `end` far below 2^53.
  std::size_t below(std::size_t end) noexcept {
    return static_cast<std::size_t>(uniform() * static_cast<double>(end));
  }
  /// Mean 0, deviation 1 (Box and Muller 1958).
  double normal() noexcept {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t state_;
};

}  // namespace lapwing::detect
