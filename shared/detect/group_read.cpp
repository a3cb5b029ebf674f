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

/// As many as there are sensors, or none.
std::vector<std::string> read_each(config::Section& section, config::Key key, std::size_t sensors) {
  auto texts = section.texts(key, {});
  const std::string name(key.name);
  if (!texts.empty() && texts.size() != sensors) {
    section.problem(name, std::to_string(texts.size()) + " given for " + std::to_string(sensors) +
                              " sensors: name each, in the order of streams, or none");
  }
  for (const std::string& text : texts) {
    if (text.size() <= GroupConfig::kNameBytesMax) continue;
    section.problem(name, "\"" + text.substr(0, 32) + "...\" is too long: at most " +
                              std::to_string(GroupConfig::kNameBytesMax) + " bytes");
  }
  return texts;
}

void read_model(GroupConfig& group, config::Section& section) {
  const std::size_t sensors = group.watch.streams.size();
  group.model = section.text(
      {"model",
       "name of a model; its active version scores the rows, without a warm-up. Until the hub has "
       "sent one, detector does"},
      "");
  group.sensor_names = read_each(
      section,
      {"sensor_names",
       "what the model calls the sensors, in the order of streams; absent: the last level of each "
       "stream's name"},
      sensors);
  group.units = read_each(
      section, {"units", "units of the sensors as the model names them; absent: none"}, sensors);
  if (group.model.empty()) return;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (group.model.size() > 64 || !std::ranges::all_of(group.model, allowed)) {
    section.problem("model", "is \"" + group.model.substr(0, 80) +
                                 "\"; allowed: 1 to 64 of a-z, 0-9, `_` and `-`");
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < sensors; ++i) {
    const std::string name = group.sensor_name(i);
    if (!name.empty() && name != "+" && seen.insert(name).second) continue;
    section.problem("sensor_names", "\"" + name +
                                        "\" is no name, or two sensors' name: a model tells "
                                        "sensors by their names, so give each its own");
    break;
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
  read_model(group, section);
  const auto share = section.choice(
      {"share",
       "what the device may tell of the group's rows in federated rounds: nothing, summaries "
       "without rows, or samples of rows too"},
      "none", {"none", "summaries", "samples"});
  group.share = share == "samples"     ? Share::samples
                : share == "summaries" ? Share::summaries
                                       : Share::none;
  read_checks(group.watch, section);
  read_endings(group.watch, section);
  read_parameters(group.watch, section, Input::group);
  return group;
}

}  // namespace lapwing::detect
