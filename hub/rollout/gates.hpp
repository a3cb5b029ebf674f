// SPDX-License-Identifier: Apache-2.0
/// Inside of hub/rollout: the gates.
#pragma once

#include "hub/rollout/figures.hpp"

#include <vector>

namespace lapwing::hub::rollout {

/// Judges the present ring, whose views are given, and what all touched devices say of crashes,
/// refusals, silence and scores that are none. Writes the gates and the baseline.
void judge(const Situation& situation, const std::vector<const View*>& ring, Figures& figures);

}  // namespace lapwing::hub::rollout
