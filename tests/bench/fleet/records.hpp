// SPDX-License-Identifier: Apache-2.0
/// What the simulated devices produce: any record from its device and number alone.
#pragma once

#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace lapwing::fleet {

struct RecordShape {
  Time base{};                  ///< of the first records
  std::uint32_t streams = 200;  ///< of each device; they have a summary each in every interval
  Micros interval = std::chrono::seconds(10);
  std::uint32_t anomaly_every = 100;  ///< one record of so many is an anomaly's step; 0: none
};

/// Makes records again instead of keeping them: (device, seq) always gives the same bytes, so a
/// device's outbox needs no memory and a checker knows what the hub must hold.
///
/// Record n of a device is the summary of one of its streams; every `anomaly_every`-th, at a place
/// that differs between devices, is a step of an anomaly: opened and closed in turn.
/// Threads: a shared one is safe.
class Records {
 public:
  explicit Records(const RecordShape& shape);
  /// seq from 1.
  [[nodiscard]] wire::RecordEntry entry(std::uint64_t device, std::uint64_t seq) const;
  /// As both sides hash it.
  [[nodiscard]] std::uint64_t hash(std::uint64_t device, std::uint64_t seq) const;
  /// How many of the records 1..seq are steps of anomalies.
  [[nodiscard]] std::uint64_t anomaly_steps(std::uint64_t device, std::uint64_t seq) const noexcept;

 private:
  [[nodiscard]] wire::RecordBody body(std::uint64_t device, std::uint64_t seq) const;
  [[nodiscard]] wire::AnomalyRecord anomaly(std::uint64_t device, std::uint64_t step, Time at,
                                            const std::string& stream) const;

  RecordShape shape_;
  std::vector<std::string> streams_;
};

}  // namespace lapwing::fleet
