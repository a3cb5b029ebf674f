// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/plan.hpp"
#include "hub/rollout/plan_fields.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub::rollout {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(double value) { return value; }
Json to_json(std::uint64_t value) { return value; }
Json to_json(Micros value) {
  if (value.count() % 1'000'000 == 0) return value.count() / 1'000'000;
  return std::chrono::duration<double>(value).count();
}

}  // namespace

std::string write_plan(const Plan& plan) {
  auto json = Json::object();
  if (!plan.devices.empty()) json["devices"] = plan.devices;
  if (!plan.labels.empty()) json["labels"] = plan.labels;
  if (plan.all) json["all"] = true;
  auto& rings = json["rings"] = Json::array();
  for (const auto& ring : plan.rings) {
    auto one = Json::object();
    if (ring.label.empty()) {
      one["percent"] = ring.percent;
    } else {
      one["label"] = ring.label;
    }
    one["devices_min"] = ring.devices_min;
    if (ring.shadow_for) one["shadow_s"] = to_json(*ring.shadow_for);
    if (ring.soak) one["soak_s"] = to_json(*ring.soak);
    rings.push_back(std::move(one));
  }
  const auto put = [&](Json& into) {
    return [&into](const char* key, auto value) { into[key] = to_json(value); };
  };
  for_durations(plan, put(json));
  json["leave_out_offline"] = plan.leave_out_offline;
  auto gates = Json::object();
  for_gates(plan.gates, put(gates));
  json["gates"] = std::move(gates);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lapwing::hub::rollout
