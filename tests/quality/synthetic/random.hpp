// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lapwing::synthetic {

/// Random numbers of this project's own, so that a seed means the same stream with every library
/// (to the last digit of the C library's log). Generator: splitmix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  /// Neighbouring seeds begin far apart in the generator's one long sequence.
  explicit Random(std::uint64_t seed) : state_(mixed(mixed(seed + kStep) ^ kStep)) {}

  std::uint64_t next() {
    state_ += kStep;
    return mixed(state_);
  }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double from, double to) { return from + (to - from) * uniform(); }
  bool chance(double probability) { return uniform() < probability; }
  /// A whole number in [from, to].
  std::size_t whole(std::size_t from, std::size_t to) {
    return from + static_cast<std::size_t>(uniform() * static_cast<double>(to - from + 1));
  }
  double sign() { return chance(0.5) ? 1 : -1; }
  /// Mean 1.
  double exponential() { return -std::log(1 - uniform()); }
  /// Mean 0, variance 1 (Marsaglia's polar method).
  double normal() {
    for (;;) {
      const double x = uniform(-1, 1);
      const double y = uniform(-1, 1);
      const double square = x * x + y * y;
      if (square > 0 && square < 1) return x * std::sqrt(-2 * std::log(square) / square);
    }
  }
  /// Student's t with 3 degrees of freedom, scaled to variance 1.
  double student3() {
    const double a = normal();
    const double b = normal();
    const double c = normal();
    return normal() / std::sqrt(a * a + b * b + c * c);
  }
  /// Gamma of shape 8 and mean 1.
  double gamma8() {
    double product = 1;
    for (int i = 0; i < 8; ++i) product *= 1 - uniform();
    return -std::log(product) / 8;
  }
  /// Rounded normal where the mean is large.
  double poisson(double mean) {
    if (mean > 30) return std::max(0.0, std::round(mean + std::sqrt(mean) * normal()));
    double count = -1;
    for (double product = 1, end = std::exp(-mean); product > end; ++count) {
      product *= 1 - uniform();
    }
    return count;
  }

 private:
  static std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;
  std::uint64_t state_;
};

}  // namespace lapwing::synthetic
