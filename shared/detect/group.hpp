// SPDX-License-Identifier: Apache-2.0
/// What is asked of a group of sensors that are judged together, and what it reports.
#pragma once

#include "shared/detect/event.hpp"
#include "shared/detect/watch.hpp"
#include "shared/wire/messages.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lapwing::detect {

/// One group. Plain data, immutable once loaded.
struct GroupConfig {
  /// Name, detector, alarms_per_week (of the whole group), warmup (rows), and the checks that every
  /// sensor passes by itself: limits, stuck, gap. `streams` are the group's sensors.
  WatchConfig watch;
  Micros wait = std::chrono::seconds(5);  ///< a row is given up waiting after this, [0, 1h]
  std::optional<Micros> interval;         ///< between rows; learnt when it is not given, [1ms, 1d]
};

/// A sensor's part in a group's anomaly.
struct Part {
  std::uint16_t sensor = 0;  ///< its place in the row
  float share = 0;
};

/// One step in the life of an anomaly of the group, or of one of its sensors.
struct GroupEvent {
  static constexpr std::size_t kParts = 8;
  static constexpr std::int32_t kGroup = -1;

  Event event;
  std::int32_t sensor = kGroup;      ///< whose anomaly it is; kGroup: all of them together
  std::array<Part, kParts> parts{};  ///< at the peak, largest first; for kGroup
  std::size_t parts_count = 0;
};

/// The record of an event. `sensors` are the names, in the order of the rows; an anomaly of the
/// whole group is recorded under the watch's name.
[[nodiscard]] wire::AnomalyRecord to_record(const GroupEvent& event, const GroupConfig& group,
                                            std::span<const std::string> sensors,
                                            std::span<const wire::Tag> tags);

}  // namespace lapwing::detect
