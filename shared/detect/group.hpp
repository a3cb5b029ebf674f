// SPDX-License-Identifier: Apache-2.0
/// `[[group]]`: sensors that are judged together, and what a group reports.
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
#include <string_view>
#include <vector>

namespace lapwing::detect {

/// What a device may tell of a group's rows in federated rounds.
enum class Share : std::uint8_t {
  none = 0,       ///< nothing; no rows are kept for it
  summaries = 1,  ///< what adds up over devices, and no row
  samples = 2,    ///< rows too
};

/// One `[[group]]` table. Plain data, immutable once loaded.
///
/// A table stands for one group, or for many that look alike: where its streams have the level `+`,
/// every machine that fits makes a group of its own.
///
///     streams = ["plant/+/flow", "plant/+/pressure"]   # plant/p1/flow and plant/p1/pressure, ...
struct GroupConfig {
  static constexpr std::size_t kSensorsMin = 2;
  static constexpr std::size_t kSensorsMax = 256;
  static constexpr std::size_t kNameBytesMax = 256;  ///< of a sensor's name or unit

  /// Name, detector, alarms_per_week (of the whole group), warmup (rows), and the checks that every
  /// sensor passes by itself: stuck, gap. `streams` are the sensors, in the order of the rows:
  /// names, or names with levels `+`, the same number of them in each.
  WatchConfig watch;
  Micros wait = std::chrono::seconds(5);  ///< a row is given up waiting after this, [0, 1h]
  std::optional<Micros> interval;         ///< between rows; learnt when it is not given, [1ms, 1d]
  /// Name of the model whose active version scores the rows; until there is one, and where it is
  /// empty, the watch's detector does.
  std::string model = {};
  std::vector<std::string> sensor_names =
      {};                               ///< as the model calls them; empty: see sensor_name()
  std::vector<std::string> units = {};  ///< as many, or empty: none has one
  Share share = Share::none;

  /// Of the sensor at this place: as given, or the last level of its stream's name.
  [[nodiscard]] std::string sensor_name(std::size_t place) const;
  [[nodiscard]] std::string unit(std::size_t place) const;

  /// Reads one table. Problems are recorded in it.
  static GroupConfig read(config::Section& section);
};

/// Where a stream belongs.
struct Seat {
  const GroupConfig* group = nullptr;
  std::string name;        ///< of the group: the table's, and what stands for each `+`: `pump/p1`
  std::size_t sensor = 0;  ///< its place in the row
};

/// The first group, in the order of the configuration, that takes the stream; nullopt when none
/// does.
[[nodiscard]] std::optional<Seat> seat_for(std::span<const GroupConfig> groups,
                                           std::string_view stream);
/// The streams of a group by its name, in the order of the rows; empty when the name is not one of
/// this table's.
[[nodiscard]] std::vector<std::string> sensors_of(const GroupConfig& group, std::string_view name);

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

/// The record of an event. `name` is the group's, under which an anomaly of all together is
/// recorded; `sensors` are the names of its streams, in the order of the rows.
[[nodiscard]] wire::AnomalyRecord to_record(const GroupEvent& event, const GroupConfig& group,
                                            std::string_view name,
                                            std::span<const std::string> sensors,
                                            std::span<const wire::Tag> tags);

}  // namespace lapwing::detect
