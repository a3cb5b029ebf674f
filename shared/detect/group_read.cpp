// SPDX-License-Identifier: Apache-2.0
#include "shared/base/config.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/watch_keys.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace lapwing::detect {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// Levels that are `+`.
std::ptrdiff_t wildcards(const std::string& filter) { return std::ranges::count(filter, '+'); }

/// Why a filter is no sensor; empty when it is one.
std::string sensor_problem(const std::string& filter, const std::string& first) {
  if (const auto why = filter_problem(filter); !why.empty()) return std::string(why);
  if (filter.ends_with('#')) return "stands for many streams: name each sensor";
  if (wildcards(filter) != wildcards(first)) {
    return "has not as many levels + as \"" + first + "\": each + stands for the same machine";
  }
  return {};
}

void read_sensors(WatchConfig& watch, config::Section& section) {
  watch.streams = section.texts(
      {"streams",
       "the sensors, each by its stream's name; with + for a level, each machine that fits is a "
       "group of its own"},
      {});
  const auto count = watch.streams.size();
  if (count < GroupConfig::kSensorsMin || count > GroupConfig::kSensorsMax) {
    section.problem("streams", std::to_string(count) + " given; a group has " +
                                   std::to_string(GroupConfig::kSensorsMin) + " to " +
                                   std::to_string(GroupConfig::kSensorsMax) + " sensors");
  }
  std::set<std::string_view> seen;
  for (const std::string& filter : watch.streams) {
    auto why = sensor_problem(filter, watch.streams.front());
    if (why.empty() && !seen.insert(filter).second) why = "is there twice";
    if (!why.empty()) section.problem("streams", "\"" + filter + "\" " + why);
  }
}

}  // namespace

GroupConfig GroupConfig::read(config::Section& section) {
  GroupConfig group;
  read_name(group.watch, section);
  read_sensors(group.watch, section);
  read_sensitivity(group.watch, section, Input::group);
  group.interval = section.optional_duration(
      {"interval", "between rows, each with the newest reading of every sensor; absent: learnt"},
      milliseconds(1), hours(24));
  group.wait = section.duration({"wait",
                                 "a row is not waited for longer: who has not reported is "
                                 "missing in it"},
                                group.wait, Micros(0), hours(1));
  read_checks(group.watch, section);
  read_endings(group.watch, section);
  read_parameters(group.watch, section, Input::group);
  return group;
}

}  // namespace lapwing::detect
