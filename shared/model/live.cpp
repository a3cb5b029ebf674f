// SPDX-License-Identifier: Apache-2.0
#include "shared/model/live.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace lapwing::model {
namespace {

/// `flow [m³/h], pressure [bar]`
std::string named(const std::vector<Sensor>& sensors) {
  constexpr std::size_t kNamedMax = 16;
  std::string text;
  for (std::size_t i = 0; i < sensors.size() && i < kNamedMax; ++i) {
    text += (i == 0 ? "" : ", ") + sensors[i].name;
    if (!sensors[i].unit.empty()) text += " [" + sensors[i].unit + "]";
  }
  if (sensors.size() > kNamedMax) {
    text += " and " + std::to_string(sensors.size() - kNamedMax) + " more";
  }
  return text;
}

}  // namespace

std::vector<Sensor> sensors_of(const detect::GroupConfig& group) {
  std::vector<Sensor> sensors;
  for (std::size_t i = 0; i < group.watch.streams.size(); ++i) {
    sensors.push_back({.name = group.sensor_name(i), .unit = group.unit(i)});
  }
  return sensors;
}

Result<void> check_sensors(const detect::GroupConfig& group, const Header& header) {
  const auto own = sensors_of(group);
  const auto same = [](const Sensor& a, const Sensor& b) {
    return a.name == b.name && a.unit == b.unit;
  };
  if (std::ranges::equal(own, header.sensors, same)) return {};
  return Error{Errc::denied, "wrong_schema: the model takes " + named(header.sensors) +
                                 "; the group " + group.watch.name + " has " + named(own) +
                                 ": see its sensor_names and units"};
}

Result<LiveModel> LiveModel::of(std::shared_ptr<const Model> model, std::string label) {
  LiveModel live;
  live.model_ = std::move(model);
  live.label_ = std::move(label);
  const auto& calibration = live.model_->header().calibration;
  live.normal_ = std::make_shared<const detect::NormalScores>(
      detect::NormalScores::of(calibration.shares, calibration.scores, calibration.rows));
  const std::string digest = live.model_->sha256().substr(0, 16);
  std::from_chars(digest.data(), digest.data() + digest.size(), live.print_, 16);
  if (auto tried = live.for_group(); !tried) return std::move(tried).error();
  return live;
}

Result<detect::TrainedModel> LiveModel::for_group() const {
  auto detector = model_->make_detector();
  if (!detector) return within(label_, std::move(detector).error());
  return detect::TrainedModel{
      .label = label_, .detector = *std::move(detector), .normal = normal_, .print = print_};
}

}  // namespace lapwing::model
