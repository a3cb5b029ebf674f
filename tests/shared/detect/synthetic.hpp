// SPDX-License-Identifier: Apache-2.0
/// Seeded streams with known faults.
#pragma once

#include "shared/detect/pipeline.hpp"

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

namespace lapwing::detect::testing {

/// A small generator of its own, so that a seed means the same stream with every library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }
  /// Two-sided with heavier tails than the normal.
  double laplace() {
    const double u = uniform() - 0.5;
    return (u < 0 ? 1 : -1) * std::log(1 - 2 * std::abs(u) + 1e-300);
  }

 private:
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

enum class Normal { noise, heavy, autoregressive, sine, daily, wander, steps };
inline constexpr Normal kNormals[] = {Normal::noise, Normal::heavy, Normal::autoregressive,
                                      Normal::sine,  Normal::daily, Normal::wander};
enum class Fault { none, level, spike, noise, drift, dropout, stuck };

inline std::string_view name(Normal normal) {
  constexpr std::string_view kNames[] = {"noise", "heavy",  "autoregressive", "sine",
                                         "daily", "wander", "steps"};
  return kNames[static_cast<int>(normal)];
}
inline std::string_view name(Fault fault) {
  constexpr std::string_view kNames[] = {"none",  "level",   "spike", "noise",
                                         "drift", "dropout", "stuck"};
  return kNames[static_cast<int>(fault)];
}

struct StreamSpec {
  Normal normal = Normal::noise;
  Fault fault = Fault::none;
  std::uint64_t seed = 1;
  std::size_t readings = 4000;
  std::size_t fault_at = 2500;
  std::size_t fault_rows = 200;
  double strength = 8;  ///< in standard deviations of the noise
  Micros interval = std::chrono::minutes(5);
  double offset = 20;
  double scale = 1;
};

/// Readings five minutes apart unless told otherwise, so 2016 a week.
inline std::vector<Sample> make_stream(const StreamSpec& spec) {
  Random random(spec.seed);
  std::vector<Sample> samples;
  samples.reserve(spec.readings);
  const Time start = from_micros(1'700'000'000'000'000);
  double inner = 0;
  double stuck_value = 0;
  for (std::size_t i = 0; i < spec.readings; ++i) {
    const double noise = random.normal();
    const double heavy = random.laplace();
    const auto t = static_cast<double>(i);
    double value = 0;
    switch (spec.normal) {
      case Normal::noise:
        value = noise;
        break;
      case Normal::heavy:
        value = heavy;
        break;
      case Normal::autoregressive:
        inner = 0.8 * inner + 0.6 * noise;
        value = inner;
        break;
      case Normal::sine:
        value = 4 * std::sin(2 * std::numbers::pi * t / 50) + noise;
        break;
      case Normal::daily:
        value = 5 * std::sin(2 * std::numbers::pi * t / 288) + noise;
        break;
      case Normal::wander:
        inner = 0.995 * inner + 0.3 * noise;
        value = inner;
        break;
      case Normal::steps:
        if (random.uniform() < 0.01) inner = std::floor(5 * random.uniform());
        value = inner;
        break;
    }
    const bool faulty = i >= spec.fault_at && i < spec.fault_at + spec.fault_rows;
    const auto into = static_cast<double>(i - spec.fault_at);
    bool drop = false;
    if (faulty) {
      switch (spec.fault) {
        case Fault::none:
          break;
        case Fault::level:
          value += spec.strength;
          break;
        case Fault::spike:
          if (i == spec.fault_at) value += 2 * spec.strength;
          break;
        case Fault::noise:
          value += 0.5 * spec.strength * random.normal();
          break;
        case Fault::drift:
          value += 2 * spec.strength * into / static_cast<double>(spec.fault_rows);
          break;
        case Fault::dropout:
          drop = true;
          break;
        case Fault::stuck:
          if (i == spec.fault_at) stuck_value = value;
          value = stuck_value;
          break;
      }
    }
    if (drop) continue;
    samples.push_back(
        {start + static_cast<std::int64_t>(i) * spec.interval, (spec.offset + value) * spec.scale});
  }
  return samples;
}

}  // namespace lapwing::detect::testing
