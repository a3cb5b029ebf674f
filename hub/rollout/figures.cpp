// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/figures.hpp"

#include "hub/rollout/gates.hpp"

#include <algorithm>

namespace lapwing::hub::rollout {
namespace {

constexpr std::array<std::string_view, 8> kPhaseNames{
    "waiting", "shadow", "active", "paused", "done", "aborted", "rolling_back", "rolled_back"};

/// A device that runs the model for good reports every quarter of an hour, else about every minute.
constexpr Micros kConfirmedGrace = std::chrono::minutes(30);

bool is_lost(Stage stage) {
  return stage == Stage::refused || stage == Stage::failed || stage == Stage::reverted ||
         stage == Stage::silent;
}

Stage stage_of_word(std::string_view word) {
  for (std::size_t i = 0; i < kStageNames.size(); ++i) {
    if (kStageNames.at(i) == word) return static_cast<Stage>(i);
  }
  return Stage::told;
}

/// What the device is to run has its say only in reports of this very order.
bool is_answered(const Situation& s, const TargetRow& target) {
  return target.reported_at && target.report.rollout == s.rollout.id &&
         (target.report.version == target.target.number ||
          (target.target.number == 0 && target.report.state == "withdrawn"));
}

bool is_undo(const Situation& s, const Target& target) { return target.number != s.rollout.number; }

Stage undo_stage(const Situation& s, const TargetRow& target) {
  if (is_answered(s, target)) {
    const auto said = stage_of_word(target.report.state);
    if (said == Stage::active || said == Stage::confirmed ||
        (target.target.number == 0 && target.report.state == "withdrawn")) {
      return Stage::undone;
    }
    if (is_lost(said)) return said;
    if (said == Stage::fetching) return said;
  }
  const auto heard = std::max(target.changed_at, target.reported_at.value_or(Time{}));
  return s.now - heard > s.plan.silence_after ? Stage::silent : Stage::told;
}

}  // namespace

std::string_view name_of(Stage stage) { return kStageNames.at(static_cast<std::size_t>(stage)); }
std::string_view name_of(RolloutPhase phase) {
  return kPhaseNames.at(static_cast<std::size_t>(phase) - 1);
}

Stage stage_of(const Situation& s, const View& view) {
  if (view.member.left_out) return Stage::left_out;
  if (!view.target) return Stage::waiting;
  const auto& target = *view.target;
  if (is_undo(s, target.target)) return undo_stage(s, target);
  // Nothing is judged in a pause, so what was not said in it is no silence.
  const auto& state = s.rollout.state;
  const auto since = std::max(target.changed_at, state.judged_from);
  auto said = Stage::told;
  if (is_answered(s, target)) said = stage_of_word(target.report.state);
  if (is_lost(said)) return said;
  const auto silent_for = s.now - std::max(since, target.reported_at.value_or(Time{}));
  switch (said) {
    case Stage::fetching:
      return s.now - since > s.plan.fetch_for ? Stage::failed : said;
    case Stage::confirmed:
      return silent_for > s.plan.silence_after + kConfirmedGrace ? Stage::silent : said;
    case Stage::active: {
      const auto due = state.phase == RolloutPhase::active && state.ready_at
                           ? *state.ready_at + s.plan.soak_of(view.member.ring)
                           : Time::max() - s.plan.confirm_for;
      if (s.now > due + s.plan.confirm_for) return Stage::failed;
      break;
    }
    case Stage::shadow:
      // Told to run it, it does not: that too is no answer.
      if (target.target.stage == wire::ModelStage::active && s.now - since > s.plan.fetch_for) {
        return Stage::failed;
      }
      break;
    default:
      said = Stage::told;
      if (s.now - since > s.plan.fetch_for) return Stage::failed;
  }
  return silent_for > s.plan.silence_after ? Stage::silent : said;
}

Figures figure(const Situation& s) {
  Figures out;
  out.rings.resize(s.plan.rings.size());
  const auto& state = s.rollout.state;
  const auto phase = state.phase == RolloutPhase::paused ? state.resume : state.phase;
  const bool judged = phase == RolloutPhase::shadow || phase == RolloutPhase::active;
  const bool begun = phase != RolloutPhase::waiting;
  std::vector<const View*> ring;
  std::size_t reached = 0;
  std::size_t confirmed = 0;
  std::size_t lost = 0;
  for (const auto& view : s.views) {
    const auto stage = stage_of(s, view);
    out.stages.push_back(stage);
    const auto count = [&](Counts& into) {
      ++into.by_stage.at(static_cast<std::size_t>(stage));
      if (stage != Stage::left_out) ++into.size;
    };
    count(out.rings.at(view.member.ring));
    if (!begun || view.member.ring > state.ring) continue;
    count(out.touched);
    if (view.member.ring != state.ring || stage == Stage::left_out) continue;
    ring.push_back(&view);
    const bool runs = stage == Stage::active || stage == Stage::confirmed;
    if (is_lost(stage)) ++lost;
    if (stage == Stage::confirmed) ++confirmed;
    if (runs || (phase == RolloutPhase::shadow && stage == Stage::shadow)) ++reached;
  }
  out.ready = judged && reached + lost == ring.size();
  out.settled = out.ready && (phase == RolloutPhase::shadow || confirmed + lost == ring.size());
  if (judged) judge(s, ring, out);
  return out;
}

}  // namespace lapwing::hub::rollout
