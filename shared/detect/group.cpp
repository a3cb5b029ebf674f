// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/group.hpp"

#include <cmath>

namespace lapwing::detect {
namespace {

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

wire::AnomalyRecord to_record(const GroupEvent& event, const GroupConfig& group,
                              std::span<const std::string> sensors,
                              std::span<const wire::Tag> tags) {
  if (event.sensor != GroupEvent::kGroup) {
    return to_record(event.event, group.watch, sensors[static_cast<std::size_t>(event.sensor)],
                     tags);
  }
  wire::AnomalyRecord record = to_record(event.event, group.watch, group.watch.name, tags);
  for (std::size_t i = 0; i < event.parts_count; ++i) {
    const Part& part = event.parts[i];
    record.contributions.push_back({sensors[part.sensor], static_cast<double>(part.share)});
  }
  record.text = describe_parts(record.contributions);
  return record;
}

}  // namespace lapwing::detect
