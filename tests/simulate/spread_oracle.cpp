// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_oracle.hpp"

#include "hub/rollout/figures.hpp"

#include <optional>

namespace lapwing::simulate {

using hub::RolloutPhase;

SpreadOracle::SpreadOracle(SpreadWorld& world) : world_(world) {
  world.targets.on_want = [this](const hub::TargetRow& row) { wanted(row); };
}

void SpreadOracle::rings(const std::vector<hub::RolloutMember>& members) {
  for (const auto& member : members) {
    ring_of_[member.device] = member.ring;
    first_ring_ += member.ring == 0 ? 1 : 0;
  }
}

/// Each target as it is wanted.
void SpreadOracle::wanted(const hub::TargetRow& row) {
  const auto& target = row.target;
  const auto& device = target.key.device;
  auto& last = last_wanted_[device];
  const auto state = world_.row().state;
  if (ring_of_.at(device) > state.ring) world_.wrong(device + " is told before its ring has begun");
  const auto ailment = world_.options.ailment;
  const bool sound = ailment == Ailment::none || ailment == Ailment::silence;
  if (!sound && ring_of_.at(device) > 0) {
    world_.wrong(device + " is told what should have been stopped in ring 1");
  }
  if (last.undone && target.number == kNew) {
    world_.wrong(device + " is told the new version after it was taken back");
  }
  if (target.number != kNew) last.undone = true;
  if (last.active && target.number == kNew && target.stage == wire::ModelStage::shadow) {
    world_.wrong(device + " goes back to shadow");
  }
  last.active = target.stage == wire::ModelStage::active;
  if (!last.told) ++world_.outcome.touched;
  last.told = true;
}

void SpreadOracle::judge(const hub::RolloutRow& ended) {
  auto& outcome = world_.outcome;
  outcome.end = ended.state.phase;
  outcome.ring = ended.state.ring + 1;
  outcome.reason = ended.state.text;
  std::size_t rings = 0;
  const auto decisions = world_.rollouts.decisions(kTenant, 1, {}).value();
  for (auto it = decisions.items.rbegin(); it != decisions.items.rend(); ++it) {
    outcome.decisions.push_back(it->action);
    if (it->action == "begin" || it->action == "ring") ++rings;
    if (it->action == "roll_back") outcome.reason = it->text;
  }
  for (const auto& device : world_.devices) outcome.ran += device->ran_new ? 1 : 0;
  if (!has_ended(ended.state.phase)) {
    return world_.wrong("no end in " + std::to_string(outcome.took / std::chrono::hours(1)) +
                        " hours: " + std::string(hub::rollout::name_of(ended.state.phase)) + " " +
                        ended.state.text);
  }
  if (rings != outcome.ring) world_.wrong("a ring began twice, or one was left out");
  if (world_.row().revision != ended.revision) world_.wrong("it went on after its end");
  world_.options.ailment == Ailment::none ? judge_good() : judge_bad();
}
void SpreadOracle::judge_good() {
  const auto& outcome = world_.outcome;
  if (outcome.end != RolloutPhase::done) {
    return world_.wrong("a sound model is stopped: " + outcome.reason);
  }
  for (const auto& device : world_.devices) {
    if (device->alive() && device->active() != kNew)
      world_.wrong(device->name + " does not run it");
  }
}
void SpreadOracle::judge_bad() {
  const auto& outcome = world_.outcome;
  if (outcome.end != RolloutPhase::rolled_back) return world_.wrong("it turns green");
  const bool anywhere = world_.options.ailment == Ailment::silence;
  if (!anywhere && (outcome.ring != 1 || outcome.touched > first_ring_)) {
    world_.wrong("it gets beyond ring 1");
  }
  for (const auto& device : world_.devices) {
    if (device->silent || !device->alive() || !last_wanted_[device->name].told) continue;
    const auto before = world_.options.first_model ? std::nullopt : std::optional(kUndo);
    if (device->active() != before) world_.wrong(device->name + " is not taken back");
  }
}

}  // namespace lapwing::simulate
