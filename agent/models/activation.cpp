// SPDX-License-Identifier: Apache-2.0
#include "agent/models/activation.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace lapwing::agent {
namespace {

using model_action::Fetch;
using model_action::Install;
using model_action::Keep;
using model_action::Report;
using model_action::StopFetch;
using namespace model_state;

std::string back_to(const std::optional<HeldModel>& previous) {
  return previous ? "; back to version " + std::to_string(previous->version.number)
                  : "; back to the group's own detector";
}

}  // namespace

wire::ModelReport model_action::Report::record(std::string model, Time at) const {
  return {.model = std::move(model),
          .version = version,
          .state = state,
          .detail = detail,
          .offer = offer,
          .rollout = rollout,
          .at = at,
          .statistics = std::nullopt};
}

void Activation::tell(ModelActions& actions, const char* state, std::uint64_t version,
                      std::string detail, Ticks ticks, std::optional<ModelSlot> statistics) {
  state_.told = state;
  state_.told_version = version;
  state_.told_detail = detail;
  told_at_ = ticks;
  actions.push_back(Report{.state = state,
                           .version = version,
                           .detail = std::move(detail),
                           .offer = state_.offer,
                           .rollout = state_.rollout,
                           .statistics = statistics});
}

void Activation::begin_trial(Ticks ticks) {
  trial_since_ = ticks;
  state_.unclean_starts = 0;
}

ModelActions Activation::on_start(bool unclean, Time at, Ticks ticks) {
  ModelActions actions;
  trial_since_ = ticks;
  bool reverted = false;
  if (unclean && on_trial()) {
    actions.push_back(Keep{});
    if (++state_.unclean_starts >= kUncleanStartsMax) {
      const std::string why = "the agent ended " + std::to_string(state_.unclean_starts) +
                              " times without a clean stop while it was on trial";
      // The shadow is the newer one: it came while the active one ran.
      if (state_.shadow) {
        drop_shadow(kReverted, why, ticks, actions);
      } else {
        revert(kReverted, why, at, ticks, actions);
        reverted = true;  // and has installed the one before
      }
    }
  }
  if (state_.active && !reverted)
    actions.push_back(Install{ModelSlot::active, state_.active->version});
  if (state_.shadow) actions.push_back(Install{ModelSlot::shadow, state_.shadow->version});
  if (state_.wanted) actions.push_back(Fetch{state_.wanted->version});
  if (state_.told.empty()) {  // the hub is to know who uses the model, and that no offer is known
    actions.push_back(Report{.state = kWithdrawn,
                             .version = 0,
                             .detail = "no version is here yet",
                             .offer = state_.offer,
                             .rollout = state_.rollout,
                             .statistics = std::nullopt});
  }
  return actions;
}

ModelActions Activation::repeat(Ticks ticks) {
  ModelActions actions;
  if (state_.told.empty() || (told_at_ && ticks - *told_at_ < kRepeatAfter)) return actions;
  const std::string state = state_.told;
  tell(actions, state.c_str(), state_.told_version, state_.told_detail, ticks);
  return actions;
}

ModelActions Activation::on_refused(std::uint64_t offer, std::uint64_t rollout,
                                    std::uint64_t number, const std::string& why, Ticks ticks) {
  if (offer < state_.offer) return {};
  if (offer == state_.offer) return repeat(ticks);
  state_.offer = offer;
  state_.rollout = rollout;
  ModelActions actions{Keep{}};
  tell(actions, kRefused, number, why, ticks);
  return actions;
}

ModelActions Activation::on_offer(const Offered& offered, Time at, Ticks ticks) {
  if (offered.offer < state_.offer) return {};
  if (offered.offer == state_.offer) return repeat(ticks);
  state_.offer = offered.offer;
  state_.rollout = offered.rollout;
  ModelActions actions{Keep{}};
  const auto& version = offered.version;
  if (state_.wanted && (version.number == 0 || state_.wanted->version != version)) {
    state_.wanted.reset();
    actions.push_back(StopFetch{});
  }
  if (version.number == 0) {
    const std::uint64_t last = state_.active   ? state_.active->version.number
                               : state_.shadow ? state_.shadow->version.number
                                               : 0;
    if (state_.shadow) actions.push_back(Install{ModelSlot::shadow, std::nullopt});
    if (state_.active) actions.push_back(Install{ModelSlot::active, std::nullopt});
    state_.active.reset();
    state_.previous.reset();
    state_.shadow.reset();
    state_.confirmed = false;
    tell(actions, kWithdrawn, last, "", ticks);
    return actions;
  }
  if (state_.active && state_.active->version == version) {
    if (state_.shadow) actions.push_back(Install{ModelSlot::shadow, std::nullopt});
    state_.shadow.reset();
    tell(actions, state_.confirmed ? kConfirmed : kActive, version.number, "", ticks,
         ModelSlot::active);
  } else if (state_.shadow && state_.shadow->version == version) {
    if (offered.stage == wire::ModelStage::active) {
      activate(version, at, ticks, actions);
    } else {
      tell(actions, kShadow, version.number, "", ticks, ModelSlot::shadow);
    }
  } else {
    want(offered, ticks, actions);
  }
  return actions;
}

void Activation::want(const Offered& offered, Ticks ticks, ModelActions& actions) {
  if (state_.shadow) {  // its time is over, whatever becomes of the new one
    state_.shadow.reset();
    actions.push_back(Install{ModelSlot::shadow, std::nullopt});
  }
  state_.wanted = {offered.version, offered.stage};
  tell(actions, kFetching, offered.version.number, "", ticks);
  actions.push_back(Fetch{offered.version});
}

ModelActions Activation::on_fetched(const std::string& sha256, Time at, Ticks ticks) {
  if (!state_.wanted || state_.wanted->version.sha256 != sha256) return {};
  const auto wanted = *std::exchange(state_.wanted, std::nullopt);
  ModelActions actions{Keep{}};
  if (wanted.stage == wire::ModelStage::active) {
    activate(wanted.version, at, ticks, actions);
    return actions;
  }
  state_.shadow = {wanted.version, at};
  begin_trial(ticks);
  actions.push_back(Install{ModelSlot::shadow, wanted.version});
  tell(actions, kShadow, wanted.version.number, "", ticks);
  return actions;
}

void Activation::activate(const ModelVersion& version, Time at, Ticks ticks,
                          ModelActions& actions) {
  if (state_.active && state_.confirmed) state_.previous = state_.active;
  state_.active = {version, at};
  state_.confirmed = false;
  begin_trial(ticks);
  actions.push_back(Install{ModelSlot::active, version});
  if (std::exchange(state_.shadow, std::nullopt)) {
    actions.push_back(Install{ModelSlot::shadow, std::nullopt});
  }
  tell(actions, kActive, version.number, "", ticks);
}

ModelActions Activation::on_fetch_failed(const std::string& sha256, const std::string& why,
                                         Ticks ticks) {
  if (!state_.wanted || state_.wanted->version.sha256 != sha256) return {};
  const auto number = state_.wanted->version.number;
  state_.wanted.reset();
  ModelActions actions{Keep{}};
  tell(actions, kFailed, number, why, ticks);
  return actions;
}

void Activation::revert(const char* word, const std::string& why, Time at, Ticks ticks,
                        ModelActions& actions) {
  const std::uint64_t failed = state_.active->version.number;
  state_.active = std::exchange(state_.previous, std::nullopt);
  if (state_.active) state_.active->since = at;
  state_.confirmed = state_.active.has_value();
  state_.unclean_starts = 0;
  actions.push_back(Install{ModelSlot::active,
                            state_.active ? std::optional(state_.active->version) : std::nullopt});
  tell(actions, word, failed, why + back_to(state_.active), ticks);
}

void Activation::drop_shadow(const char* word, const std::string& why, Ticks ticks,
                             ModelActions& actions) {
  const std::uint64_t failed = state_.shadow->version.number;
  state_.shadow.reset();
  state_.unclean_starts = 0;
  actions.push_back(Install{ModelSlot::shadow, std::nullopt});
  tell(actions, word, failed, "as a shadow: " + why, ticks);
}

ModelActions Activation::on_install_failed(ModelSlot slot, const std::string& why, Time at,
                                           Ticks ticks) {
  ModelActions actions{Keep{}};
  if (slot == ModelSlot::shadow && state_.shadow) {
    drop_shadow(kFailed, why, ticks, actions);
  } else if (slot == ModelSlot::active && state_.active) {
    revert(kFailed, why, at, ticks, actions);
  } else {
    return {};
  }
  return actions;
}

ModelActions Activation::on_rollback(Time at, Ticks ticks) {
  if (!state_.active) return {};
  ModelActions actions{Keep{}};
  revert(kReverted, "an operator on the device wanted it", at, ticks, actions);
  return actions;
}

ModelActions Activation::on_tick(const ModelDoing& active, Time at, Ticks ticks) {
  ModelActions actions;
  const bool clean = ticks - trial_since_ >= confirm_after_;
  if (state_.active && !state_.confirmed) {
    if (active.not_a_number > 0) {
      actions.push_back(Keep{});
      revert(kReverted, std::to_string(active.not_a_number) + " of its scores are no numbers", at,
             ticks, actions);
      return actions;
    }
    if (clean && active.rows > 0) {
      actions.push_back(Keep{});
      state_.confirmed = true;
      state_.unclean_starts = 0;
      // The answer to a newer offer (refused, failed, fetching, shadow) is not talked over.
      if (state_.told != kActive) return actions;
      tell(actions, kConfirmed, state_.active->version.number, "", ticks, ModelSlot::active);
      return actions;
    }
  } else if (clean && state_.unclean_starts > 0) {  // a shadow that has run long enough
    state_.unclean_starts = 0;
    actions.push_back(Keep{});
  }
  // What the hub last heard is about what runs: how it does, now and then.
  const bool of_shadow = state_.told == kShadow && state_.shadow;
  const bool of_active = (state_.told == kActive || state_.told == kConfirmed) && state_.active;
  if (!of_shadow && !of_active) return actions;
  const Micros every = on_trial() ? trial_reports_ : std::max(kReports, trial_reports_);
  if (told_at_ && ticks - *told_at_ < every) return actions;
  const std::string state = state_.told;
  tell(actions, state.c_str(), state_.told_version, state_.told_detail, ticks,
       of_shadow ? ModelSlot::shadow : ModelSlot::active);
  return actions;
}

}  // namespace lapwing::agent
