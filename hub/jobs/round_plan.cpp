// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/round_plan.hpp"

#include "shared/base/utf8.hpp"
#include "shared/detect/kinds.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace lapwing::hub {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kTextMax = 256;
constexpr std::size_t kDevicesMax = 2'000;
constexpr std::size_t kLabelsWantedMax = 16;

/// Keeps the first problem; knows which keys were read.
class OrderReader {
 public:
  explicit OrderReader(const OrderedJson& json) : json_(json) {}

  const OrderedJson* find(const char* key) {
    known_.insert(key);
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }
  std::string text(const char* key, bool required) {
    const auto* at = find(key);
    if (at == nullptr && !required) return {};
    if (at != nullptr && at->is_string()) {
      auto text = at->get<std::string>();
      if ((!required || !text.empty()) && text.size() <= kTextMax && valid_utf8(text) &&
          text.find('\0') == text.npos) {
        return text;
      }
    }
    wrong(key, "a text of at most 256 bytes is wanted");
    return {};
  }
  template <class Number>
  void number(const char* key, Number& value, double least, double most) {
    const auto* at = find(key);
    if (at == nullptr) return;
    const bool whole = std::is_integral_v<Number>;
    if (whole ? at->is_number_integer() : at->is_number()) {
      const auto given = at->get<double>();
      if (given >= least && given <= most) {
        value = at->get<Number>();
        return;
      }
    }
    wrong(key, (whole ? "a whole number" : "a number") + std::string(" from ") +
                   std::to_string(least) + " to " + std::to_string(most) + " is wanted");
  }
  void wrong(const std::string& key, const std::string& what) {
    if (problem_.empty()) problem_ = "\"" + key.substr(0, 64) + "\": " + what;
  }
  const std::string& problem() {
    for (const auto& [key, value] : json_.items()) {
      if (!known_.contains(key)) wrong(key, "unknown key");
    }
    return problem_;
  }

 private:
  const OrderedJson& json_;
  std::set<std::string> known_;
  std::string problem_;
};

void read_sensors(OrderReader& reader, federate::Plan& plan) {
  const auto* at = reader.find("sensors");
  if (at == nullptr || !at->is_array() || at->empty() || at->size() > federate::kWidthMax) {
    return reader.wrong("sensors", "a list of 1 to " + std::to_string(federate::kWidthMax) +
                                       " objects with a name, and a unit, is wanted");
  }
  std::set<std::string> names;
  for (const auto& one : *at) {
    model::Sensor sensor;
    const bool named = one.is_object() && one.contains("name") && one["name"].is_string();
    if (named) sensor.name = one["name"].get<std::string>();
    if (named && one.contains("unit") && one["unit"].is_string()) {
      sensor.unit = one["unit"].get<std::string>();
    }
    const bool fine = !sensor.name.empty() && sensor.name.size() <= kTextMax &&
                      sensor.unit.size() <= kTextMax && valid_utf8(sensor.name) &&
                      valid_utf8(sensor.unit) && names.insert(sensor.name).second;
    if (!fine) return reader.wrong("sensors", "each has a name of its own, of at most 256 bytes");
    plan.sensors.push_back(std::move(sensor));
  }
}

void read_choice(OrderReader& reader, RoundOrder& order) {
  if (const auto* at = reader.find("devices")) {
    bool fine = at->is_array() && !at->empty() && at->size() <= kDevicesMax;
    for (std::size_t i = 0; fine && i < at->size(); ++i) {
      fine = (*at)[i].is_string();
      if (fine) order.devices.push_back((*at)[i].get<std::string>());
    }
    if (!fine) reader.wrong("devices", "a list of 1 to 2000 names is wanted");
  }
  if (const auto* at = reader.find("labels")) {
    bool fine = at->is_object() && at->size() <= kLabelsWantedMax;
    if (fine) {
      for (const auto& [key, value] : at->items()) {
        fine = fine && value.is_string();
        if (fine) order.labels[key] = value.get<std::string>();
      }
    }
    if (!fine) reader.wrong("labels", "an object of texts is wanted");
  }
}

void read_parameters(OrderReader& reader, federate::Plan& plan) {
  const auto* at = reader.find("parameters");
  if (at == nullptr) return;
  if (!at->is_object()) return reader.wrong("parameters", "an object of numbers is wanted");
  for (const auto& [key, value] : at->items()) {
    if (!value.is_number()) return reader.wrong("parameters", "an object of numbers is wanted");
    plan.parameters[key] = value.get<double>();
  }
}

}  // namespace

Result<RoundOrder> read_round_order(std::string_view text) {
  const auto json = OrderedJson::parse(text, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "the round is no JSON object"};
  OrderReader reader(json);
  RoundOrder order;
  auto& plan = order.plan;
  order.name = reader.text("name", true);
  order.model = reader.text("model", false);
  const auto kind = federate::parse_kind(reader.text("kind", true));
  read_sensors(reader, plan);
  read_choice(reader, order);
  read_parameters(reader, plan);
  reader.number("seed", plan.seed, 0, 0x1p53);
  reader.number("devices_min", plan.rules.devices_min, federate::kCohortMin, kDevicesMax);
  reader.number("share_max", plan.rules.share_max, 0.001, 1);
  reader.number("far", plan.rules.far, 3, 100);
  reader.number("enough", order.enough, 0, kDevicesMax);
  reader.number("trees", order.task.trees, 1, 100);
  reader.number("sample", order.task.sample, 8, 256);
  reader.number("rows", order.task.rows_max, federate::kRowsMin, 4096);
  std::int64_t minutes =
      std::chrono::duration_cast<std::chrono::minutes>(order.pass_length).count();
  reader.number("minutes", minutes, 1, 10'080);
  order.pass_length = std::chrono::minutes(minutes);
  if (!kind) reader.wrong("kind", kind.error().context);
  if (!reader.problem().empty()) return Error{Errc::bad_input, reader.problem()};
  plan.kind = order.task.kind = *kind;
  if (plan.kind == federate::Kind::samples) return order;
  const auto* detector = detect::find_kind(federate::to_string(plan.kind), detect::Input::rows);
  const auto fine = detect::check_settings(
      *detector, {.width = plan.sensors.size(), .parameters = plan.parameters});
  if (!fine) return Error{Errc::bad_input, "\"parameters\": " + fine.error().context};
  return order;
}

std::string to_json(const RoundOrder& order) {
  const auto& plan = order.plan;
  OrderedJson json{{"name", order.name}, {"kind", federate::to_string(plan.kind)}};
  if (!order.model.empty()) json["model"] = order.model;
  for (const auto& sensor : plan.sensors) {
    OrderedJson one{{"name", sensor.name}};
    if (!sensor.unit.empty()) one["unit"] = sensor.unit;
    json["sensors"].push_back(std::move(one));
  }
  if (!order.labels.empty()) json["labels"] = order.labels;
  if (!plan.parameters.empty()) json["parameters"] = plan.parameters;
  json["seed"] = plan.seed;
  json["devices_min"] = plan.rules.devices_min;
  json["share_max"] = plan.rules.share_max;
  json["far"] = plan.rules.far;
  json["trees"] = order.task.trees;
  json["sample"] = order.task.sample;
  json["rows"] = order.task.rows_max;
  json["minutes"] = std::chrono::duration_cast<std::chrono::minutes>(order.pass_length).count();
  return json.dump();
}

}  // namespace lapwing::hub
