// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/figures.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace lapwing::hub::rollout {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 3> kVerdictNames{"passed", "open", "failed"};

Json counts_json(const Counts& counts) {
  auto stages = Json::object();
  for (std::size_t i = 0; i < kStageNames.size(); ++i) {
    if (counts.by_stage[i] > 0) stages[std::string(kStageNames[i])] = counts.by_stage[i];
  }
  return stages;
}

}  // namespace

std::string figures_json(const Situation& s, const Figures& figures) {
  const auto& state = s.rollout.state;
  auto rings = Json::array();
  for (std::size_t i = 0; i < figures.rings.size(); ++i) {
    const auto& planned = s.plan.rings.at(i);
    auto ring = Json::object();
    ring["ring"] = i + 1;
    if (planned.label.empty()) {
      ring["percent"] = planned.percent;
    } else {
      ring["label"] = planned.label;
    }
    ring["size"] = figures.rings[i].size;
    ring["stages"] = counts_json(figures.rings[i]);
    rings.push_back(std::move(ring));
  }
  auto gates = Json::array();
  for (const auto& gate : figures.gates) {
    gates.push_back(
        {{"name", gate.name},
         {"value", gate.value && std::isfinite(*gate.value) ? Json(*gate.value) : Json(nullptr)},
         {"bound", gate.bound},
         {"verdict", kVerdictNames.at(static_cast<std::size_t>(gate.verdict))},
         {"text", gate.text}});
  }
  const Json json{{"phase", name_of(state.phase)},
                  {"ring", state.ring + 1},
                  {"touched", figures.touched.size},
                  {"rings", std::move(rings)},
                  {"gates", std::move(gates)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lapwing::hub::rollout
