// SPDX-License-Identifier: Apache-2.0
/// A centrifugal pump as its sensors see it: a small physical model with faults that can be set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>

namespace lapwing::demo {

/// The six sensors, in the order of Readings.
inline constexpr std::array<std::string_view, 6> kSensors = {
    "speed", "flow", "pressure", "bearing_temperature", "vibration", "motor_current"};
inline constexpr std::array<std::string_view, 6> kUnits = {"rpm",  "m3/h", "bar",
                                                           "degC", "mm/s", "A"};
using Readings = std::array<double, kSensors.size()>;

/// What is wrong with the pump itself; 0 is healthy, 1 is the worst the model knows.
struct Condition {
  double bearing_wear = 0;  ///< more friction and heat, rougher running
  double cavitation = 0;    ///< bubbles: head and flow drop and flutter, broadband vibration
};

/// Speed with its regulation, flow where pump and system curve meet, discharge pressure, heat
/// balance of the bearing, vibration from imbalance, bearing and bubbles, motor current from
/// hydraulic power and friction; each sensor with its own noise and resolution. The bearing's heat
/// capacity is small, so that a demonstration of a minute shows what takes a real bearing an hour.
///
/// The same seed and calls give the same readings.
class Pump {
 public:
  explicit Pump(std::uint64_t seed);

  /// The readings after `seconds` more.
  Readings step(double seconds, const Condition& condition);

 private:
  /// A quantity that fluctuates around zero and forgets within a second or so.
  struct Fluctuation {
    double spread;
    double memory_s;
    double value = 0;
  };
  double advance(Fluctuation& fluctuation, double seconds);
  double normal();

  std::mt19937_64 engine_;
  Fluctuation supply_{0.0012, 0.8};  ///< of speed, relative
  Fluctuation valve_{0.015, 1.2};    ///< of the system's resistance, relative
  Fluctuation bubbles_{1, 0.15};     ///< of the cavitation
  Fluctuation air_{0.15, 1.5};       ///< of the surroundings, degrees
  double flow_ = 0;
  double temperature_ = 0;
};

}  // namespace lapwing::demo
