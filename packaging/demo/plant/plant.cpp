// SPDX-License-Identifier: Apache-2.0
#include "packaging/demo/plant/plant.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::demo {
namespace {

enum Sensor : std::size_t { kSpeed, kFlow, kPressure, kTemperature, kVibration, kCurrent };

}  // namespace

std::string_view name(FaultKind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"bearing_wear", "cavitation", "stuck",
                                                      "dropout"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<Fault> make_schedule(double seconds) {
  const double healthy = std::max(17.0, 0.34 * seconds);
  const double rest = std::max(12.0, seconds - healthy);
  const auto at = [&](double part) { return healthy + part * rest; };
  return {
      {FaultKind::bearing_wear, at(0.00), at(0.22), {kTemperature, kVibration, kCurrent, kSpeed}},
      {FaultKind::cavitation, at(0.40), at(0.54), {kFlow, kPressure, kVibration, kCurrent}},
      {FaultKind::stuck, at(0.66), at(0.77), {kPressure}},
      {FaultKind::dropout, at(0.84), at(0.96), {kFlow}}};
}

Plant::Plant(std::uint64_t seed, double rate_hz, std::vector<Fault> schedule)
    : pump_(seed), rate_hz_(rate_hz), schedule_(std::move(schedule)) {}

Scan Plant::scan() {
  ++scans_;
  const double now = time_s();
  Condition condition;
  const auto active = [now](const Fault& fault) {
    return now >= fault.onset_s && now < fault.end_s;
  };
  for (const Fault& fault : schedule_) {
    if (!active(fault)) continue;
    const double into = (now - fault.onset_s) / (fault.end_s - fault.onset_s);
    // Wear grows, cavitation sets in within a moment; both end as if repaired.
    if (fault.kind == FaultKind::bearing_wear) condition.bearing_wear = std::min(1.0, 2 * into);
    if (fault.kind == FaultKind::cavitation) condition.cavitation = std::min(1.0, 10 * into);
  }
  const Readings readings = pump_.step(1 / rate_hz_, condition);
  Scan scan;
  std::copy(readings.begin(), readings.end(), scan.begin());
  Readings held = readings;
  for (const Fault& fault : schedule_) {
    if (!active(fault)) continue;
    for (const std::size_t sensor : fault.sensors) {
      if (fault.kind == FaultKind::stuck) scan[sensor] = held[sensor] = held_[sensor];
      if (fault.kind == FaultKind::dropout) scan[sensor].reset();
    }
  }
  held_ = held;
  return scan;
}

}  // namespace lapwing::demo
