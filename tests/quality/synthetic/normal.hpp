// SPDX-License-Identifier: Apache-2.0
/// Streams without a fault: what sensors and services look like when all is well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lapwing::synthetic {

/// Readings in a day and a week at the usual five minutes.
inline constexpr std::size_t kDay = 288;
inline constexpr std::size_t kWeek = 7 * kDay;

/// A family of streams; the seed chooses its periods, amplitudes and speeds.
enum class Normal : std::uint8_t {
  white,           ///< independent, normal
  autoregressive,  ///< AR(1), .5
  slow,            ///< AR(1), .95
  heavy_tails,     ///< Student's t with 3 degrees of freedom, half of them AR(1) .5
  season,          ///< a day with two harmonics, quieter weekends, an amplitude that wanders
  level_drift,     ///< noise on a level that wanders and creeps
  variance_drift,  ///< noise whose spread wanders over weeks
  regimes,         ///< three states of own level and spread, each for about 900 readings
  counts,          ///< events in an interval: Poisson, with a day's rhythm and bursts
  quantised,       ///< noise read with one or two digits
  boolean,         ///< 0 and 1
  noise_steps,     ///< a day's rhythm in noise whose spread steps now and then
  cycles,          ///< a machine's strokes, period and height wander
  season_drift,    ///< season, level drift and variance drift together
  steps,           ///< a set point: one of five exact values, changed about every 100 readings
};

/// Those that the figures are measured on.
inline constexpr Normal kNormals[] = {
    Normal::white,          Normal::autoregressive, Normal::slow,    Normal::heavy_tails,
    Normal::season,         Normal::level_drift,    Normal::regimes, Normal::counts,
    Normal::variance_drift, Normal::quantised,      Normal::boolean, Normal::noise_steps,
    Normal::cycles,         Normal::season_drift};

[[nodiscard]] std::string_view name(Normal normal) noexcept;

/// Fills `out` with readings, oldest first. The same seed gives the same readings; a longer span
/// begins with the readings of a shorter one. Noise is of the order of 1.
void fill(Normal normal, std::uint64_t seed, std::span<double> out);

}  // namespace lapwing::synthetic
