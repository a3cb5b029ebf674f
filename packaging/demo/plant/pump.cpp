// SPDX-License-Identifier: Apache-2.0
#include "packaging/demo/plant/pump.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lapwing::demo {
namespace {

constexpr double kRatedSpeed = 1480;     // rpm
constexpr double kShutOffHead = 42;      // m, at nominal speed and no flow
constexpr double kPumpCurve = 0.0028;    // m / (m3/h)^2
constexpr double kStaticHead = 12;       // m
constexpr double kSystemCurve = 0.0055;  // m / (m3/h)^2
constexpr double kFlowLag = 0.35;        // s
constexpr double kGravity = 9.81;
constexpr double kDensity = 998;      // kg/m3
constexpr double kEfficiency = 0.74;  // of pump and motor
constexpr double kVolts = 400;
constexpr double kPowerFactor = 0.86;
constexpr double kFriction = 240;       // W in a healthy bearing
constexpr double kCooling = 7.5;        // W / K
constexpr double kHeatCapacity = 30;    // J / K, see the class comment
constexpr double kSurroundings = 22;    // degC
constexpr double kImbalance = 1.6;      // mm/s at nominal speed
constexpr double kBearingRumble = 0.7;  // mm/s in a healthy bearing
constexpr double kBubbleRumble = 3.2;   // mm/s

/// To the sensor's resolution.
double rounded(double value, double steps_per_unit) {
  return std::round(value * steps_per_unit) / steps_per_unit;
}

double flow_at(double head, double resistance) {
  return std::sqrt(std::max(0.0, head - kStaticHead) / (kPumpCurve + kSystemCurve * resistance));
}

}  // namespace

Pump::Pump(std::uint64_t seed) : engine_(seed) {
  flow_ = flow_at(kShutOffHead, 1);
  temperature_ = kSurroundings + kFriction / kCooling;  // it has been running for long
}

/// Sum of twelve uniform numbers: the same on every standard library.
double Pump::normal() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(engine_() >> 11) * 0x1p-53;
  return sum;
}

double Pump::advance(Fluctuation& fluctuation, double seconds) {
  const double kept = std::exp(-seconds / fluctuation.memory_s);
  fluctuation.value =
      kept * fluctuation.value + std::sqrt(1 - kept * kept) * fluctuation.spread * normal();
  return fluctuation.value;
}

Readings Pump::step(double seconds, const Condition& condition) {
  const double wear = condition.bearing_wear;
  const double bubbles =
      condition.cavitation * std::clamp(0.6 + 0.4 * advance(bubbles_, seconds), 0.0, 1.5);
  const double ratio = 1 + advance(supply_, seconds) - 0.004 * wear - 0.002 * condition.cavitation;
  const double speed = kRatedSpeed * ratio;

  const double shut_off = kShutOffHead * ratio * ratio * (1 - 0.22 * bubbles);
  const double resistance = 1 + advance(valve_, seconds);
  const double settled = flow_at(shut_off, resistance);
  flow_ += (1 - std::exp(-seconds / kFlowLag)) * (settled - flow_);
  const double head = std::max(0.0, shut_off - kPumpCurve * flow_ * flow_);
  const double pressure = kDensity * kGravity * head / 1e5;

  const double friction = kFriction * ratio * (1 + 1.1 * wear);
  const double surroundings = kSurroundings + advance(air_, seconds);
  temperature_ += seconds * (friction - kCooling * (temperature_ - surroundings)) / kHeatCapacity;

  const double imbalance = kImbalance * ratio * ratio;
  const double rumble = kBearingRumble * (1 + 5 * wear);
  const double rush = kBubbleRumble * bubbles;
  const double vibration = std::sqrt(imbalance * imbalance + rumble * rumble + rush * rush);

  const double hydraulic = kDensity * kGravity * head * flow_ / 3600 / kEfficiency;
  const double current = (hydraulic + friction) / (std::numbers::sqrt3 * kVolts * kPowerFactor);

  return {rounded(speed + 0.6 * normal(), 100),
          rounded(flow_ + 0.12 * normal(), 1000),
          rounded(pressure + 0.006 * normal(), 10000),
          rounded(temperature_ + 0.08 * normal(), 1000),
          rounded(std::max(0.0, vibration * (1 + 0.05 * normal())), 10000),
          rounded(current + 0.02 * normal(), 10000)};
}

}  // namespace lapwing::demo
