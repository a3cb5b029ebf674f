// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/decide.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub::rollout {
namespace {

RolloutStep step_of(const RolloutRow& rollout, Time now) {
  return {.tenant = rollout.tenant,
          .id = rollout.id,
          .revision = rollout.revision,
          .state = rollout.state,
          .at = now};
}

/// Into another phase, with the reason.
void enter(RolloutStep& step, RolloutPhase phase, std::string_view actor, std::string action,
           std::string text, std::string figures) {
  step.state.phase = phase;
  step.state.since = step.at;
  step.state.ready_at.reset();
  step.state.text = text;
  step.decision = RolloutDecision{.at = step.at,
                                  .actor = std::string(actor),
                                  .action = std::move(action),
                                  .text = std::move(text),
                                  .figures = std::move(figures)};
}

std::string ring_words(std::uint32_t ring) { return "ring " + std::to_string(ring + 1); }

/// One decision in the making.
class Decider {
 public:
  explicit Decider(const Situation& s)
      : s_(s), figures_(figure(s)), step_(step_of(s.rollout, s.now)) {}

  Decision run() {
    switch (s_.rollout.state.phase) {
      case RolloutPhase::waiting:
        step_.state.judged_from = s_.now;
        begin_ring(0, "begin");
        break;
      case RolloutPhase::shadow:
      case RolloutPhase::active:
        go_on();
        break;
      case RolloutPhase::rolling_back:
        roll_back();
        break;
      default:
        return {};
    }
    const bool changed = step_.decision || !step_.targets.empty() || !step_.left_out.empty() ||
                         step_.state.ready_at != s_.rollout.state.ready_at;
    if (!changed) return {};
    const bool more = !step_.targets.empty() || step_.decision.has_value();
    return {.step = std::move(step_), .more = more};
  }

 private:
  [[nodiscard]] std::string numbers() const { return figures_json(s_, figures_); }

  void enter(RolloutPhase phase, std::string action, std::string text) {
    rollout::enter(step_, phase, Rollouts::kHubActor, std::move(action), std::move(text),
                   numbers());
  }

  /// The next ring that has devices, from `ring` on; none: the rollout is done.
  void begin_ring(std::uint32_t ring, const char* action) {
    for (; ring < s_.plan.rings.size(); ++ring) {
      std::size_t devices = 0;
      for (const auto& view : s_.views) {
        if (view.member.ring != ring || view.member.left_out) continue;
        if (s_.plan.leave_out_offline && !view.member.online) {
          step_.left_out.push_back(view.member.device);
        } else {
          ++devices;
        }
      }
      if (devices == 0) continue;
      step_.state.ring = ring;
      step_.state.baseline = {};
      std::string text = ring_words(ring) + " begins: " + std::to_string(devices) +
                         (devices == 1 ? " device" : " devices");
      if (!step_.left_out.empty()) {
        text += ", " + std::to_string(step_.left_out.size()) + " are offline and left out";
      }
      return enter(RolloutPhase::shadow, action, std::move(text));
    }
    if (figures_.touched.size == 0) {
      return enter(RolloutPhase::aborted, "abort", "no device took part");
    }
    enter(RolloutPhase::done, "done",
          std::to_string(figures_.touched.of(Stage::confirmed)) + " of " +
              std::to_string(figures_.touched.size) + " devices run version " +
              std::to_string(s_.rollout.number) + " of " + s_.rollout.model);
  }

  void go_on() {
    std::string why;
    for (const auto& gate : figures_.gates) {
      if (gate.verdict != Verdict::failed) continue;
      why += (why.empty() ? "" : "; ") + gate.name + ": " + gate.text;
    }
    if (!why.empty()) {
      return enter(RolloutPhase::rolling_back, "roll_back",
                   ring_words(step_.state.ring) + " is stopped: " + why);
    }
    if (want_forward() || !figures_.ready) return;
    const bool shadow = step_.state.phase == RolloutPhase::shadow;
    if (!step_.state.ready_at) step_.state.ready_at = s_.now;
    const auto length =
        shadow ? s_.plan.shadow_of(step_.state.ring) : s_.plan.soak_of(step_.state.ring);
    if (s_.now - *step_.state.ready_at < length) return;
    if (!figures_.settled) return;  // who does not confirm in time has failed
    const auto open = std::ranges::find(figures_.gates, Verdict::open, &Gate::verdict);
    if (open != figures_.gates.end()) {
      if (s_.now - *step_.state.ready_at >= length + s_.plan.evidence_for) {
        step_.state.resume = step_.state.phase;
        enter(
            RolloutPhase::paused, "pause",
            ring_words(step_.state.ring) + " cannot be judged: " + open->name + ": " + open->text);
      }
      return;
    }
    if (!shadow) return begin_ring(step_.state.ring + 1, "ring");
    step_.state.baseline = figures_.baseline;
    enter(RolloutPhase::active, "activate",
          ring_words(step_.state.ring) + " goes active: every gate is passed");
  }

  /// Tells devices of begun rings what to run. Whether any had to be told.
  bool want_forward() {
    const auto& state = step_.state;
    for (const auto& view : s_.views) {
      if (view.member.ring > state.ring || view.member.left_out) continue;
      const bool active = view.member.ring < state.ring || state.phase == RolloutPhase::active;
      want(view, s_.rollout.number, active ? wire::ModelStage::active : wire::ModelStage::shadow);
    }
    return !step_.targets.empty();
  }

  void roll_back() {
    std::size_t undone = 0;
    std::size_t silent = 0;
    std::size_t failed = 0;
    std::size_t touched = 0;
    for (std::size_t i = 0; i < s_.views.size(); ++i) {
      const auto& view = s_.views[i];
      if (!view.target) continue;  // never told
      ++touched;
      want(view, s_.rollout.undo, wire::ModelStage::active);
      switch (figures_.stages[i]) {
        case Stage::undone:
          ++undone;
          break;
        case Stage::silent:
          ++silent;
          break;
        case Stage::refused:
        case Stage::failed:
        case Stage::reverted:
          ++failed;
          break;
        default:
          break;
      }
    }
    if (!step_.targets.empty() || undone + silent + failed < touched) return;
    auto text = std::to_string(undone) + " of " + std::to_string(touched) + " devices run " +
                (s_.rollout.undo == 0 ? "none of its versions"
                                      : "version " + std::to_string(s_.rollout.undo)) +
                " now";
    if (silent > 0) text += "; " + std::to_string(silent) + " are silent and hear of it later";
    if (failed > 0) text += "; " + std::to_string(failed) + " could not, see their reports";
    text += "; " + s_.rollout.state.text;
    enter(RolloutPhase::rolled_back, "rolled_back", std::move(text));
  }

  void want(const View& view, std::uint64_t number, wire::ModelStage stage) {
    if (step_.targets.size() >= kWantedMax) return;
    if (view.target) {
      const auto& now = view.target->target;
      if (now.number == number && now.stage == stage) return;
    }
    step_.targets.push_back({.key = {s_.rollout.tenant, view.member.device},
                             .model = s_.rollout.model,
                             .number = number,
                             .stage = stage,
                             .rollout = s_.rollout.id});
  }

  const Situation& s_;
  const Figures figures_;
  RolloutStep step_;
};

Error not_now(const RolloutRow& rollout, const char* what) {
  return {Errc::denied, "rollout " + std::to_string(rollout.id) + " is " +
                            std::string(name_of(rollout.state.phase)) + ": it cannot be " + what};
}

}  // namespace

Decision decide(const Situation& situation) { return Decider(situation).run(); }

Result<RolloutStep> pause(const RolloutRow& rollout, std::string_view actor, Time now) {
  const auto phase = rollout.state.phase;
  if (phase != RolloutPhase::waiting && phase != RolloutPhase::shadow &&
      phase != RolloutPhase::active) {
    return not_now(rollout, "paused");
  }
  auto step = step_of(rollout, now);
  step.state.resume = phase;
  enter(step, RolloutPhase::paused, actor, "pause", "paused by a person", "{}");
  return step;
}

Result<RolloutStep> resume(const RolloutRow& rollout, std::string_view actor, Time now) {
  if (rollout.state.phase != RolloutPhase::paused) return not_now(rollout, "resumed");
  auto step = step_of(rollout, now);
  step.state.judged_from = now;
  enter(step, rollout.state.resume, actor, "resume", "resumed; the ring's time begins anew", "{}");
  return step;
}

Result<RolloutStep> abort(const RolloutRow& rollout, bool roll_back, std::string_view actor,
                          Time now) {
  const auto phase = rollout.state.phase;
  if (has_ended(phase) || (roll_back && phase == RolloutPhase::rolling_back)) {
    return not_now(rollout, "aborted");
  }
  auto step = step_of(rollout, now);
  const bool touched =
      phase != RolloutPhase::waiting &&
      (phase != RolloutPhase::paused || rollout.state.resume != RolloutPhase::waiting);
  enter(step, roll_back && touched ? RolloutPhase::rolling_back : RolloutPhase::aborted, actor,
        "abort",
        roll_back ? "aborted by a person; touched devices go back"
                  : "aborted by a person; devices keep what they have",
        "{}");
  return step;
}

}  // namespace lapwing::hub::rollout
