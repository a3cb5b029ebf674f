// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/group.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {
namespace {

/// What stands in `stream` where `filter` has `+`, joined by `/`; nullopt when it does not match.
std::optional<std::string> machine_of(std::string_view filter, std::string_view stream) {
  if (!filter_matches(filter, stream)) return std::nullopt;
  std::string machine;
  while (!filter.empty()) {
    const std::string_view wanted = filter.substr(0, filter.find('/'));
    const std::string_view level = stream.substr(0, stream.find('/'));
    if (wanted == "+") machine += "/" + std::string(level);
    filter.remove_prefix(std::min(filter.size(), wanted.size() + 1));
    stream.remove_prefix(std::min(stream.size(), level.size() + 1));
  }
  return machine;
}

constexpr std::size_t kNamed = 3;  // sensors named in the text
constexpr float kNamedShareMin = 0.1F;

/// `unlike their past together: flow 62 %, pressure 21 %`
std::string describe_parts(std::span<const wire::Contribution> parts) {
  std::string text = "unlike their past together";
  std::size_t named = 0;
  for (const auto& part : parts) {
    if (named == kNamed || (named > 0 && part.share < static_cast<double>(kNamedShareMin))) break;
    text += (named++ == 0 ? ": " : ", ") + part.stream + " " +
            std::to_string(std::lround(100 * part.share)) + " %";
  }
  return text;
}

}  // namespace

std::string GroupConfig::sensor_name(std::size_t place) const {
  if (place < sensor_names.size()) return sensor_names[place];
  const std::string& stream = watch.streams[place];
  const std::size_t slash = stream.rfind('/');
  return slash == std::string::npos ? stream : stream.substr(slash + 1);
}

std::string GroupConfig::unit(std::size_t place) const {
  return place < units.size() ? units[place] : std::string();
}

std::optional<Seat> seat_for(std::span<const GroupConfig> groups, std::string_view stream) {
  for (const GroupConfig& group : groups) {
    for (std::size_t i = 0; i < group.watch.streams.size(); ++i) {
      const auto machine = machine_of(group.watch.streams[i], stream);
      if (machine) return Seat{&group, group.watch.name + *machine, i};
    }
  }
  return std::nullopt;
}

std::vector<std::string> sensors_of(const GroupConfig& group, std::string_view name) {
  if (!name.starts_with(group.watch.name)) return {};
  const std::string_view machine = name.substr(group.watch.name.size());
  std::vector<std::string> sensors;
  for (const std::string& filter : group.watch.streams) {
    std::string sensor;
    std::string_view rest = machine;
    for (const char c : filter) {
      if (c != '+') {
        sensor += c;
        continue;
      }
      if (!rest.starts_with('/')) return {};
      const std::string_view level = rest.substr(1, rest.find('/', 1) - 1);
      sensor += level;
      rest.remove_prefix(level.size() + 1);
    }
    if (!rest.empty()) return {};
    sensors.push_back(std::move(sensor));
  }
  return sensors;
}

wire::AnomalyRecord to_record(const GroupEvent& event, const GroupConfig& group,
                              std::string_view name, std::span<const std::string> sensors,
                              std::span<const wire::Tag> tags) {
  if (event.sensor != GroupEvent::kGroup) {
    return to_record(event.event, group.watch, sensors[static_cast<std::size_t>(event.sensor)],
                     tags);
  }
  wire::AnomalyRecord record = to_record(event.event, group.watch, name, tags);
  if (event.event.reason != wire::Reason::unusual) return record;  // an outage of all
  for (std::size_t i = 0; i < event.parts_count; ++i) {
    const Part& part = event.parts[i];
    record.contributions.push_back({sensors[part.sensor], static_cast<double>(part.share)});
  }
  record.text = describe_parts(record.contributions);
  return record;
}

}  // namespace lapwing::detect
