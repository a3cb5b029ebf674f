// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_mutants.hpp"

namespace lapwing::simulate {

void blindfold(hub::rollout::Loaded& seen, SpreadMutant mutant, const SpreadWorld& world) {
  for (auto& view : seen.views) {
    if (!view.target) continue;
    auto& target = *view.target;
    const bool active = target.target.stage == wire::ModelStage::active;
    const auto as_told = [&] {
      target.report.state = target.target.number == 0 ? "withdrawn"
                            : active                  ? "confirmed"
                                                      : "shadow";
      target.report.version = target.target.number;
      target.report.rollout = target.target.rollout;
      target.reported_at = world.wall();
    };
    switch (mutant) {
      case SpreadMutant::blind_to_alarms:
        if (target.statistics) target.statistics->alarms = target.statistics->rival_alarms;
        break;
      case SpreadMutant::blind_to_not_a_number:
        if (target.statistics) target.statistics->not_a_number = 0;
        if (target.report.state == "reverted") as_told();
        break;
      case SpreadMutant::blind_to_cost:
        if (target.statistics) target.statistics->cost_p99 = target.statistics->rival_cost_p99;
        break;
      case SpreadMutant::blind_to_crashes:
        if (target.report.state == "reverted") as_told();
        break;
      case SpreadMutant::blind_to_silence:
        if (world.by_name.at(view.member.device)->silent) as_told();
        break;
      default:
        return;
    }
  }
}

}  // namespace lapwing::simulate
