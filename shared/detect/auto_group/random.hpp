// SPDX-License-Identifier: Apache-2.0
/// Seeded numbers that are the same with every library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapwing::detect::group {

/// splitmix64 (Steele, Lea and Flood, 2014).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t v) noexcept {
  v += 0x9E3779B97F4A7C15ULL;
  v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ULL;
  v = (v ^ (v >> 27)) * 0x94D049BB133111EBULL;
  return v ^ (v >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  std::size_t below(std::size_t count) noexcept {
    return static_cast<std::size_t>(uniform() * static_cast<double>(count));
  }

 private:
  std::uint64_t next() noexcept {
    const std::uint64_t out = mixed(state_);
    state_ += 0x9E3779B97F4A7C15ULL;
    return out;
  }
  std::uint64_t state_;
};

}  // namespace lapwing::detect::group
