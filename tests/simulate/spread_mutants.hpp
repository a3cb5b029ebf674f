// SPDX-License-Identifier: Apache-2.0
/// Gates that are broken on purpose.
#pragma once

#include "hub/rollout/runner.hpp"
#include "tests/simulate/spread_world.hpp"

namespace lapwing::simulate {

/// A gate that does not look: what it would see is as good as can be. Other mutants: nothing.
void blindfold(hub::rollout::Loaded& seen, SpreadMutant mutant, const SpreadWorld& world);

}  // namespace lapwing::simulate
