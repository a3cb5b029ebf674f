// SPDX-License-Identifier: Apache-2.0
/// `[[watch]]`: which streams are watched, by which detector and how sensitively.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::detect {

/// One `[[watch]]` table. Plain data, immutable once loaded; one object serves all its streams.
struct WatchConfig {
  std::string name = "default";              ///< unique among watches; [a-z0-9_-], 1..64 characters
  std::vector<std::string> streams = {"#"};  ///< MQTT-style filters over stream names
  std::string detector = "auto";             ///< a name of kKinds
  /// The detector's own parameters that are not its defaults, by name (Kind::parameters).
  std::map<std::string, double, std::less<>> parameters = {};
  double alarms_per_week = 1.0;  ///< false alarms accepted per stream and week, [0.001, 10000]
  std::uint32_t warmup = 240;    ///< readings before the first score, [60, 100000]
  std::optional<Micros> season;  ///< length of the repeating pattern if known, [1s, 8d]
  std::optional<double> min;     ///< hard limits, in the sensor's own unit
  std::optional<double> max;
  std::optional<double> rate_max;     ///< largest change per second, > 0, in units per second
  bool stuck_check = true;            ///< report a varying stream that repeats one value
  std::optional<Micros> stuck_after;  ///< report one value for this long even if it never varied
  bool gap_check = true;              ///< report missing readings as an outage
  std::optional<Micros> gap_after;    ///< shortest outage; several usual intervals must pass too
  Micros hold{0};  ///< an anomaly ends after being quiet at least this long, [0, 1d]
  Micros accept_after =
      std::chrono::hours(48);  ///< a change this long becomes the new normal, [1m, 90d]

  /// Reads one table. Problems (unknown detector, min >= max, bad filter, ...) are recorded in it.
  static WatchConfig read(config::Section& section);
};

/// MQTT's rules: `+` is one level, a last `#` the rest (its parent included); levels split at `/`.
[[nodiscard]] bool filter_matches(std::string_view filter, std::string_view stream) noexcept;
/// The reason a filter is not one; empty when it is fine.
[[nodiscard]] std::string_view filter_problem(std::string_view filter) noexcept;
/// The first watch, in the order of the configuration, that takes the stream; nullptr when none
/// does.
[[nodiscard]] const WatchConfig* watch_for(std::span<const WatchConfig> watches,
                                           std::string_view stream) noexcept;

}  // namespace lapwing::detect
