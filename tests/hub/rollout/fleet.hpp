// SPDX-License-Identifier: Apache-2.0
/// A rollout with its devices, in memory: what decide() sees, and what follows from its steps.
#pragma once

#include "hub/rollout/decide.hpp"
#include "hub/rollout/rings.hpp"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace lapwing::hub::rollout {

struct Fleet {
  Plan plan;
  RolloutRow rollout{.tenant = "acme",
                     .id = 7,
                     .model = "pumps",
                     .number = 4,
                     .undo = 5,
                     .plan = {},
                     .state = {},
                     .actor = "t1",
                     .created_at = {},
                     .ended_at = {}};
  std::vector<View> views;
  std::vector<RolloutDecision> decisions;
  Time now = from_micros(1'790'000'000'000'000);

  explicit Fleet(std::size_t devices, Plan how = {}) : plan(std::move(how)) {
    std::vector<Candidate> all;
    for (std::size_t i = 0; i < devices; ++i) all.push_back({"d" + std::to_string(i), {}});
    for (auto& member : fill_rings(plan, rollout.id, std::move(all))) {
      member.online = true;
      views.push_back({std::move(member), std::nullopt});
    }
  }

  [[nodiscard]] Situation situation() const { return {plan, rollout, views, now}; }
  [[nodiscard]] RolloutPhase phase() const { return rollout.state.phase; }

  /// As the store does it.
  void apply(const RolloutStep& step) {
    rollout.state = step.state;
    ++rollout.revision;
    if (step.decision) decisions.push_back(*step.decision);
    for (auto& view : views) {
      for (const auto& name : step.left_out) {
        if (view.member.device == name) view.member.left_out = true;
      }
      for (const auto& target : step.targets) {
        if (target.key.device != view.member.device) continue;
        if (!view.target) view.target.emplace();
        view.target->target = target;
        ++view.target->offer;
        view.target->changed_at = step.at;
      }
    }
  }

  /// Until nothing follows any more.
  void step() {
    for (int i = 0; i < 1'000; ++i) {
      const auto decision = decide(situation());
      if (decision.step) apply(*decision.step);
      if (!decision.more) return;
    }
  }

  /// What a sound device says, once it has been told something.
  void report(View& view, const std::string& state = {}) {
    if (!view.target) return;
    auto& row = *view.target;
    auto& report = row.report;
    const bool shadow = row.target.stage == wire::ModelStage::shadow;
    report.model = rollout.model;
    report.version = row.target.number;
    report.rollout = row.target.rollout;
    report.offer = row.offer;
    report.state = !state.empty()           ? state
                   : row.target.number == 0 ? "withdrawn"
                   : shadow                 ? "shadow"
                                            : "confirmed";
    row.reported_at = now;
    auto& figures = row.statistics.emplace();
    figures.rows = 10'000;
    figures.alarms = 4;
    figures.cost_p99 = 12e-6;
    figures.psi = .05;
    if (shadow) {
      figures.rival_alarms = 4;
      figures.agreement = .999;
      figures.rival_cost_p99 = 10e-6;
    }
  }

  /// All report, time passes, it is decided; so often.
  void run(std::size_t rounds, Micros length = std::chrono::minutes(1),
           const std::function<void(View&)>& afterwards = {}) {
    for (std::size_t i = 0; i < rounds && !has_ended(phase()); ++i) {
      for (auto& view : views) {
        report(view);
        if (afterwards) afterwards(view);
      }
      now += length;
      step();
    }
  }

  [[nodiscard]] std::size_t touched() const {
    std::size_t count = 0;
    for (const auto& view : views) count += view.target ? 1 : 0;
    return count;
  }
  [[nodiscard]] std::string last() const {
    return decisions.empty() ? std::string()
                             : decisions.back().action + ": " + decisions.back().text;
  }
};

}  // namespace lapwing::hub::rollout
