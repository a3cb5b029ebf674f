// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/watch.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace lapwing::detect {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Micros kDaysMax = hours(24 * 90);

bool good_name(std::string_view name) {
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    if (!fine(c)) return false;
  }
  return true;
}

/// The names of the kinds a watch may use: the table is the only list.
constexpr auto kKindNames = [] {
  std::array<std::string_view, std::ranges::count(kKinds, Input::stream, &Kind::input)> names{};
  std::size_t next = 0;
  for (const Kind& kind : kKinds) {
    if (kind.input == Input::stream) names[next++] = kind.name;
  }
  return names;
}();

/// `[watch.parameters]`: whatever the detector's kind has.
void read_parameters(WatchConfig& watch, config::Section& section) {
  auto table = section.table({"parameters", "The detector's own, see `lapwing-agent detectors`"});
  for (const Kind& kind : kKinds) {
    const bool wanted = kind.name == watch.detector || section.describing();
    if (kind.input != Input::stream || !wanted) continue;
    for (const Parameter& one : kind.parameters) {
      const std::string help = std::string(kind.name) + ": " + std::string(one.summary);
      const auto value = table.optional_number({one.name, help}, one.min, one.max);
      if (value) watch.parameters[std::string(one.name)] = *value;
    }
  }
  const Kind* kind = find_kind(watch.detector);
  if (kind == nullptr || watch.parameters.empty()) return;
  const auto made = kind->make({.parameters = watch.parameters}, {});
  if (!made) section.problem("parameters", made.error().context);
}

void read_limits(WatchConfig& watch, config::Section& section) {
  watch.min = section.optional_number({"min", "readings below it are out of range", "the sensor's"},
                                      -1e300, 1e300);
  watch.max = section.optional_number({"max", "readings above it are out of range", "the sensor's"},
                                      -1e300, 1e300);
  watch.rate_max = section.optional_number(
      {"rate_max", "largest change per second that the process can make", "the sensor's a second"},
      1e-300, 1e300);
  if (watch.min && watch.max && *watch.min >= *watch.max) {
    section.problem("min", "min must be below max: no reading could be in range");
  }
  watch.stuck_check =
      section.flag({"stuck_check", "report a varying stream that repeats one value"}, true);
  watch.stuck_after = section.optional_duration(
      {"stuck_after", "report one value for this long even on a stream that seldom changes"},
      milliseconds(100), kDaysMax);
  watch.gap_check = section.flag({"gap_check", "report missing readings as an outage"}, true);
  watch.gap_after = section.optional_duration(
      {"gap_after",
       "shortest outage; several of the stream's usual intervals must pass too "
       "(2s when not given)"},
      milliseconds(100), kDaysMax);
}

}  // namespace

WatchConfig WatchConfig::read(config::Section& section) {
  WatchConfig watch;
  watch.name = section.text({"name", "what anomalies call it; unique"}, watch.name);
  if (!good_name(watch.name)) {
    section.problem("name", "a name has 1 to 64 of a-z, 0-9, _ and -");
  }
  watch.streams = section.texts(
      {"streams", "filters over stream names: + is one level, a last # the rest"}, watch.streams);
  if (watch.streams.empty()) {
    section.problem("streams", "no filter: use [\"#\"] for every stream");
  }
  for (const std::string& filter : watch.streams) {
    const std::string_view why = filter_problem(filter);
    if (!why.empty()) section.problem("streams", "\"" + filter + "\" " + std::string(why));
  }
  watch.detector = section.choice({"detector", "see `lapwing-agent detectors`"}, watch.detector,
                                  std::span<const std::string_view>(kKindNames));
  watch.alarms_per_week = section.number({"alarms_per_week",
                                          "false alarms accepted per stream and week: the one knob "
                                          "for sensitivity"},
                                         watch.alarms_per_week, 0.001, 10'000);
  watch.warmup = static_cast<std::uint32_t>(section.integer(
      {"warmup", "readings before the first score", "readings"}, watch.warmup, 60, 100'000));
  watch.season = section.optional_duration(
      {"season", "length of the repeating pattern, if it is not a day"}, seconds(1), hours(24 * 8));
  read_limits(watch, section);
  watch.hold = section.duration({"hold", "an anomaly ends after being quiet at least this long"},
                                watch.hold, Micros(0), hours(24));
  watch.accept_after =
      section.duration({"accept_after", "a change that has lasted this long is the new normal"},
                       watch.accept_after, minutes(1), kDaysMax);
  read_parameters(watch, section);
  return watch;
}

}  // namespace lapwing::detect
