// SPDX-License-Identifier: Apache-2.0
/// What a rollout does next. Pure: the same situation gives the same step, whoever asks.
#pragma once

#include "hub/rollout/figures.hpp"
#include "hub/store/rollouts.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub::rollout {

/// Targets one step wants at most; the next wants the rest.
inline constexpr std::size_t kWantedMax = 500;

struct Decision {
  /// Absent: nothing is to be done now.
  std::optional<RolloutStep> step;
  /// Whether the next step follows at once, without waiting for devices.
  bool more = false;
};

/// Rings begin one after the other. In each, the devices are told to run the version in shadow;
/// when all that live do, and have for the plan's time, and every gate is passed, they are told to
/// run it for good, and when all that live have confirmed that, and have run it for the plan's
/// time, the next ring begins. A gate that fails rolls back every device the rollout has touched,
/// at any time. What is not known for longer than Plan::evidence_for pauses it.
///
/// A step that was carried out twice, or half, is carried out right by the next: what is wanted
/// follows from state and targets, not from what was done before.
[[nodiscard]] Decision decide(const Situation& situation);

/// What people do. Each gives the step to take. Errors: denied (not in this phase, and why).
Result<RolloutStep> pause(const RolloutRow& rollout, std::string_view actor, Time now);
Result<RolloutStep> resume(const RolloutRow& rollout, std::string_view actor, Time now);
/// Ends it: `roll_back` takes touched devices to the undo version first.
Result<RolloutStep> abort(const RolloutRow& rollout, bool roll_back, std::string_view actor,
                          Time now);

}  // namespace lapwing::hub::rollout
