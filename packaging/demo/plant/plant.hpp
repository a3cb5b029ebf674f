// SPDX-License-Identifier: Apache-2.0
/// The plant: one pump, its sensors' own faults, and when each fault comes.
#pragma once

#include "packaging/demo/plant/pump.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lapwing::demo {

enum class FaultKind : std::uint8_t { bearing_wear, cavitation, stuck, dropout };
[[nodiscard]] std::string_view name(FaultKind kind);

/// One fault, in seconds since the start. `sensors` are positions in kSensors that show it.
struct Fault {
  FaultKind kind = FaultKind::bearing_wear;
  double onset_s = 0;
  double end_s = 0;
  std::vector<std::size_t> sensors;
};

/// The four faults, one after another: the first third is healthy (detectors learn), then each
/// fault and a pause. `seconds` >= 30.
[[nodiscard]] std::vector<Fault> make_schedule(double seconds);

/// What one scan of the sensors gave; a sensor that is out has no value.
using Scan = std::array<std::optional<double>, kSensors.size()>;

/// Runs the pump through a schedule. Same seed and rate, same scans.
class Plant {
 public:
  Plant(std::uint64_t seed, double rate_hz, std::vector<Fault> schedule);

  /// The next scan, 1 / rate_hz seconds after the one before.
  Scan scan();
  /// Seconds since the start, of the last scan.
  [[nodiscard]] double time_s() const { return static_cast<double>(scans_) / rate_hz_; }
  /// The faults again from here on, for a plant that runs without end.
  void repeat(std::vector<Fault> schedule) { schedule_ = std::move(schedule); }

 private:
  Pump pump_;
  double rate_hz_;
  std::vector<Fault> schedule_;
  std::uint64_t scans_ = 0;
  Readings held_{};  ///< what a stuck sensor goes on saying
};

}  // namespace lapwing::demo
