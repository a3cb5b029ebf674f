// SPDX-License-Identifier: Apache-2.0
/// The numbers that a plan and its gates have, by the names they have in JSON: the one list for
/// whoever reads, checks or writes them.
#pragma once

namespace lapwing::hub::rollout {

/// Calls `field(key, member)` for each duration of a plan.
template <class ThePlan, class Field>
void for_durations(ThePlan& plan, Field&& field) {
  field("shadow_s", plan.shadow_for);
  field("soak_s", plan.soak);
  field("silence_after_s", plan.silence_after);
  field("fetch_s", plan.fetch_for);
  field("confirm_s", plan.confirm_for);
  field("evidence_s", plan.evidence_for);
}
/// Likewise for each number of its gates.
template <class TheGates, class Field>
void for_gates(TheGates& gates, Field&& field) {
  field("alarm_ratio_max", gates.alarm_ratio_max);
  field("active_alarm_ratio_max", gates.active_alarm_ratio_max);
  field("alarm_evidence_min", gates.alarm_evidence_min);
  field("agreement_min", gates.agreement_min);
  field("psi_max", gates.psi_max);
  field("cost_ratio_max", gates.cost_ratio_max);
  field("cost_allowance_s", gates.cost_allowance);
  field("slow_share_max", gates.slow_share_max);
  field("reverted_share_max", gates.reverted_share_max);
  field("failed_share_max", gates.failed_share_max);
  field("silent_share_max", gates.silent_share_max);
  field("rows_min", gates.rows_min);
  field("alarms_min", gates.alarms_min);
}

}  // namespace lapwing::hub::rollout
