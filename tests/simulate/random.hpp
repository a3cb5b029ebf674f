// SPDX-License-Identifier: Apache-2.0
/// Numbers of a seed, the same with every library: each actor has its own, so that taking one away
/// leaves the others as they were.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>

namespace lapwing::simulate {

/// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t actor) : state_(mixed(mixed(seed) + actor)) {}

  std::uint64_t bits() {
    state_ += 0x9E3779B97F4A7C15ULL;
    return mixed(state_);
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  std::uint64_t below(std::uint64_t end) {
    return static_cast<std::uint64_t>(uniform() * static_cast<double>(end));
  }
  bool chance(double p) { return p > 0 && uniform() < p; }
  Micros between(Micros low, Micros high) {
    return low + Micros(static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }

 private:
  static std::uint64_t mixed(std::uint64_t v) {
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ULL;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBULL;
    return v ^ (v >> 31);
  }

  std::uint64_t state_;
};

}  // namespace lapwing::simulate
