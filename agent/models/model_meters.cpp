// SPDX-License-Identifier: Apache-2.0
#include "agent/models/model_meters.hpp"

#include "shared/release/judge.hpp"

#include <array>
#include <optional>

namespace lapwing::agent {
namespace {

/// Besides release::Refusal's: an unbounded number of reasons would be as many series.
constexpr std::array<std::string_view, 3> kWords{"unknown_model", "no_trust", "not_kept"};

bool is_word(std::string_view word) {
  for (const std::string_view one : kWords) {
    if (one == word) return true;
  }
  for (int i = 0; i <= static_cast<int>(release::Refusal::agent_too_old); ++i) {
    if (release::word(static_cast<release::Refusal>(i)) == word) return true;
  }
  return false;
}

}  // namespace

void ModelMeters::refused(std::string_view why) {
  const std::string_view word = why.substr(0, why.find(':'));
  metrics_
      .counter("model_refused_total", "Offers of models, and files, that were refused",
               {{"reason", is_word(word) ? std::string(word) : "other"}})
      .add();
}

void ModelMeters::reported(std::string_view state) {
  metrics_
      .counter("model_reports_total", "Reports on models to the hub",
               {{"state", std::string(state)}})
      .add();
}

void ModelMeters::slots(const std::string& model, const ActivationState& state) {
  const auto show = [&](const char* slot, const std::optional<HeldModel>& held) {
    const std::uint64_t now = held ? held->version.number : 0;
    auto& shown = shown_[model + "\n" + slot];
    if (shown == now) return;
    const auto gauge = [&](std::uint64_t version) -> Gauge& {
      return metrics_.gauge(
          "model_info", "1 for the version of a model that is in a slot",
          {{"model", model}, {"slot", slot}, {"version", std::to_string(version)}});
    };
    if (shown != 0) gauge(shown).set(0);
    if (now != 0) gauge(now).set(1);
    shown = now;
  };
  show("active", state.active);
  show("previous", state.previous);
  show("shadow", state.shadow);
}

}  // namespace lapwing::agent
