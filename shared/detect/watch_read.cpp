// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/trained_on_warmup.hpp"
#include "shared/detect/watch_keys.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>

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

/// The kinds that may be named for this input: the table is the only list.
std::vector<const Kind*> kinds_for(Input input) {
  std::vector<const Kind*> kinds;
  for (const Kind& kind : kKinds) {
    if (find_live_kind(kind.name, input) == &kind) kinds.push_back(&kind);
  }
  return kinds;
}

struct Asked {
  std::string help;
  double min = 0;
  double max = 0;
};

/// The parameters of one kind, by name; with an empty name those of all kinds of this input, of
/// which several may know a name, each with a range of its own.
std::map<std::string, Asked> parameters_of(std::string_view detector, Input input) {
  std::map<std::string, Asked> all;
  for (const Kind* kind : kinds_for(input)) {
    if (!detector.empty() && kind->name != detector) continue;
    for (const Parameter& one : kind->parameters) {
      const std::string help = std::string(kind->name) + ": " + std::string(one.summary);
      const auto [at, fresh] =
          all.try_emplace(std::string(one.name), Asked{help, one.min, one.max});
      if (fresh) continue;
      Asked& asked = at->second;
      asked.help += "; " + help;
      asked.min = std::min(asked.min, one.min);
      asked.max = std::max(asked.max, one.max);
    }
  }
  return all;
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
}

}  // namespace

void read_name(WatchConfig& watch, config::Section& section) {
  watch.name = section.text({"name", "what anomalies call it; unique"}, watch.name);
  if (!good_name(watch.name)) {
    section.problem("name", "a name has 1 to 64 of a-z, 0-9, _ and -");
  }
}

void read_sensitivity(WatchConfig& watch, config::Section& section, Input input) {
  const bool stream = input == Input::stream;
  std::vector<std::string_view> names;
  for (const Kind* kind : kinds_for(input)) names.push_back(kind->name);
  watch.detector = section.choice({"detector", "see `lapwing-agent detectors`"}, watch.detector,
                                  std::span<const std::string_view>(names));
  watch.alarms_per_week = section.number(
      {"alarms_per_week", stream ? "false alarms accepted per stream and week: the one knob for "
                                   "sensitivity"
                                 : "false alarms accepted per group and week: the one knob for "
                                   "sensitivity"},
      watch.alarms_per_week, 0.001, 10'000);
  watch.warmup = static_cast<std::uint32_t>(
      section.integer({"warmup", "readings before the first score", stream ? "readings" : "rows"},
                      watch.warmup, 60, 100'000));
  watch.season = section.optional_duration(
      {"season", "length of the repeating pattern, if it is not a day"}, seconds(1), hours(24 * 8));
}

void read_checks(WatchConfig& watch, config::Section& section) {
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

void read_endings(WatchConfig& watch, config::Section& section) {
  watch.hold = section.duration({"hold", "an anomaly ends after being quiet at least this long"},
                                watch.hold, Micros(0), hours(24));
  watch.accept_after =
      section.duration({"accept_after", "a change that has lasted this long is the new normal"},
                       watch.accept_after, minutes(1), kDaysMax);
}

void read_parameters(WatchConfig& watch, config::Section& section, Input input) {
  auto table = section.table({"parameters", "The detector's own, see `lapwing-agent detectors`"});
  const auto asked_of = parameters_of(section.describing() ? "" : watch.detector, input);
  for (const auto& [name, asked] : asked_of) {
    const auto value = table.optional_number({name, asked.help}, asked.min, asked.max);
    if (value) watch.parameters[name] = *value;
  }
  const Kind* kind = find_live_kind(watch.detector, input);
  if (kind == nullptr || watch.parameters.empty()) return;
  const std::size_t width = input == Input::stream ? 1 : watch.streams.size();
  const auto made = make_live(*kind, {.width = width, .parameters = watch.parameters});
  if (!made) section.problem("parameters", made.error().context);
}

WatchConfig WatchConfig::read(config::Section& section) {
  WatchConfig watch;
  read_name(watch, section);
  watch.streams = section.texts(
      {"streams", "filters over stream names: + is one level, a last # the rest"}, watch.streams);
  if (watch.streams.empty()) {
    section.problem("streams", "no filter: use [\"#\"] for every stream");
  }
  for (const std::string& filter : watch.streams) {
    const std::string_view why = filter_problem(filter);
    if (!why.empty()) section.problem("streams", "\"" + filter + "\" " + std::string(why));
  }
  read_sensitivity(watch, section, Input::stream);
  read_limits(watch, section);
  read_checks(watch, section);
  read_endings(watch, section);
  read_parameters(watch, section, Input::stream);
  return watch;
}

}  // namespace lapwing::detect
