// SPDX-License-Identifier: Apache-2.0
#include "hub/rollout/gates.hpp"

#include "hub/rollout/evidence.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lapwing::hub::rollout {
namespace {

/// A stability index over fewer rows is mostly chance.
constexpr std::uint64_t kPsiRowsMin = 500;
/// Likewise the 99th percentile of fewer costs, and a share of fewer rows.
constexpr std::uint64_t kCostRowsMin = 200;
constexpr std::uint64_t kAgreementRowsMin = 200;

/// What the ring's devices say, put together.
struct Sums {
  std::uint64_t rows = 0;
  std::uint64_t alarms = 0;        ///< in shadow: of devices whose model before scored too
  std::uint64_t rival_alarms = 0;  ///< likewise
  double agreeing_rows = 0;
  std::uint64_t compared_rows = 0;
  std::vector<double> psi;
  std::vector<double> cost;
  std::vector<double> rival_cost;
  std::size_t slow = 0;   ///< devices above the bounds on cost
  std::size_t timed = 0;  ///< devices that tell a cost
};

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// The new version's figures, as far as they are of the phase: what a shadow did is compared with
/// what ran beside it, what is active is not.
const wire::ModelStatistics* statistics_of(const Situation& s, const View& view, bool shadow) {
  if (!view.target || !view.target->statistics) return nullptr;
  const auto& target = *view.target;
  if (target.report.rollout != s.rollout.id || target.report.version != s.rollout.number) {
    return nullptr;
  }
  const auto& told = *target.statistics;
  const auto& state = target.report.state;
  if (shadow) return state == "shadow" ? &told : nullptr;
  // The figures may be those of its time in shadow still.
  const bool runs = state == "active" || state == "confirmed";
  return runs && std::isnan(told.agreement) ? &told : nullptr;
}

Sums sum(const Situation& s, const std::vector<const View*>& ring, bool shadow) {
  const auto& gates = s.plan.gates;
  const auto allowance = std::chrono::duration<double>(gates.cost_allowance).count();
  Sums sums;
  for (const auto* view : ring) {
    const auto* told = statistics_of(s, *view, shadow);
    if (told == nullptr) continue;
    sums.rows += told->rows;
    if (!shadow) sums.alarms += told->alarms;
    if (!std::isnan(told->agreement)) {
      sums.agreeing_rows += told->agreement * static_cast<double>(told->rows);
      sums.compared_rows += told->rows;
      // The model before was in an anomaly when this one came: its first alarm is no new one.
      const bool known = told->rival_alarms == 0 && told->rival_anomalous_rows > 0;
      sums.alarms += told->alarms - (known && told->alarms > 0 ? 1 : 0);
      sums.rival_alarms += told->rival_alarms;
    }
    if (std::isfinite(told->psi) && told->rows >= kPsiRowsMin) sums.psi.push_back(told->psi);
    if (!std::isfinite(told->cost_p99) || told->rows < kCostRowsMin) continue;
    const auto rival = shadow ? told->rival_cost_p99 : s.rollout.state.baseline.cost_p99;
    if (std::isfinite(rival)) sums.rival_cost.push_back(rival);
    sums.cost.push_back(told->cost_p99);
    ++sums.timed;
    const auto bound = std::isfinite(rival) ? gates.cost_ratio_max * rival + allowance : HUGE_VAL;
    if (told->cost_p99 > bound) ++sums.slow;
  }
  return sums;
}

Gate alarm_gate(const Situation& s, const Sums& sums, bool shadow) {
  const auto& gates = s.plan.gates;
  const auto& before = s.rollout.state.baseline;
  const auto bound = shadow ? gates.alarm_ratio_max : gates.active_alarm_ratio_max;
  const auto then = shadow ? sums.rival_alarms : before.alarms;
  const auto rows = shadow ? sums.compared_rows : sums.rows;
  const auto then_rows = shadow ? rows : before.rows;
  Gate gate{.name = shadow ? "alarm_ratio_max" : "active_alarm_ratio_max",
            .value = std::nullopt,
            .bound = bound,
            .text = "no alarms to compare"};
  if (sums.alarms + then == 0 || rows == 0 || then_rows == 0) return gate;
  const auto expected =
      static_cast<double>(then) * static_cast<double>(rows) / static_cast<double>(then_rows);
  if (then > 0) gate.value = static_cast<double>(sums.alarms) / expected;
  // e^700 is more than anybody asks for.
  const auto evidence =
      std::exp(std::min(log_evidence_of_more(sums.alarms, rows, then, then_rows), 700.));
  gate.text = std::to_string(sums.alarms) + " alarms where the model before gave " +
              text_of(expected) + "; evidence of more " + text_of(evidence) + ", stops at " +
              text_of(gates.alarm_evidence_min);
  if (static_cast<double>(sums.alarms) > bound * expected && evidence >= gates.alarm_evidence_min) {
    gate.verdict = Verdict::failed;
  }
  return gate;
}

/// A value that must not be above its bound, or below it.
Gate bounded(std::string name, std::optional<double> value, double bound, bool at_least,
             std::string text) {
  Gate gate{.name = std::move(name), .value = value, .bound = bound, .text = std::move(text)};
  if (!value) {
    gate.text = "nothing is known yet";
  } else if (at_least ? *value < bound : *value > bound) {
    gate.verdict = Verdict::failed;
  }
  return gate;
}

/// Of the whole ring: who has no figures yet is not slow; and one alone is chance, unless it is the
/// ring.
Gate cost_gate(const Situation& s, const Sums& sums, std::size_t devices) {
  std::optional<double> share;
  if (sums.timed > 0) share = static_cast<double>(sums.slow) / static_cast<double>(devices);
  const bool alone = sums.slow == 1 && devices > 1;
  const auto cost = median(sums.cost);
  const auto rival = median(sums.rival_cost);
  return bounded(
      "slow_share_max", share, alone ? 1 : s.plan.gates.slow_share_max, false,
      std::to_string(sums.slow) + " of " + std::to_string(devices) + " devices are slower than " +
          text_of(s.plan.gates.cost_ratio_max) +
          " times the model before; p99 of a row, median: " + (cost ? text_of(*cost * 1e6) : "?") +
          " us, before " + (rival ? text_of(*rival * 1e6) : "?") + " us");
}

/// Of the ring and of all touched devices, whichever is worse.
Gate share_gate(const char* name, const char* what, double bound, const Counts& ring,
                const Counts& touched, const std::vector<Stage>& stages) {
  const auto count = [&](const Counts& counts) {
    std::size_t sum = 0;
    for (const auto stage : stages) sum += counts.of(stage);
    return sum;
  };
  const auto& worse = touched.share(count(touched)) > ring.share(count(ring)) ? touched : ring;
  return bounded(
      name, worse.share(count(worse)), bound, false,
      std::to_string(count(worse)) + " of " + std::to_string(worse.size) + " devices " + what);
}

Gate not_a_number_gate(const Situation& s) {
  std::uint64_t scores = 0;
  std::size_t devices = 0;
  for (const auto& view : s.views) {
    for (const bool shadow : {true, false}) {
      const auto* told = statistics_of(s, view, shadow);
      if (told == nullptr || told->not_a_number == 0) continue;
      scores += told->not_a_number;
      ++devices;
    }
  }
  return bounded(
      "not_a_number", static_cast<double>(scores), 0, false,
      std::to_string(scores) + " scores that are none, on " + std::to_string(devices) + " devices");
}

Gate enough(const char* name, std::uint64_t have, std::uint64_t wanted, const char* what) {
  return {
      .name = name,
      .value = static_cast<double>(have),
      .bound = static_cast<double>(wanted),
      .verdict = have < wanted ? Verdict::open : Verdict::passed,
      .text = std::to_string(have) + " " + what + ", " + std::to_string(wanted) + " are wanted"};
}

}  // namespace

void judge(const Situation& s, const std::vector<const View*>& ring, Figures& figures) {
  const auto& state = s.rollout.state;
  const auto phase = state.phase == RolloutPhase::paused ? state.resume : state.phase;
  const bool shadow = phase == RolloutPhase::shadow;
  const auto& gates = s.plan.gates;
  const auto sums = sum(s, ring, shadow);
  const auto& counts = figures.rings.at(state.ring);
  auto& out = figures.gates;

  out.push_back(not_a_number_gate(s));
  out.push_back(share_gate("reverted_share_max", "went back after crashes",
                           gates.reverted_share_max, counts, figures.touched, {Stage::reverted}));
  out.push_back(share_gate("failed_share_max", "refused it, or could not get, load or confirm it",
                           gates.failed_share_max, counts, figures.touched,
                           {Stage::refused, Stage::failed}));
  out.push_back(share_gate("silent_share_max", "are silent", gates.silent_share_max, counts,
                           figures.touched, {Stage::silent}));
  out.push_back(cost_gate(s, sums, ring.size()));
  out.push_back(alarm_gate(s, sums, shadow));
  if (shadow) {
    std::optional<double> agreement;
    if (sums.compared_rows >= std::max(gates.rows_min, kAgreementRowsMin)) {
      agreement = sums.agreeing_rows / static_cast<double>(sums.compared_rows);
    }
    out.push_back(bounded(
        "agreement_min", agreement, gates.agreement_min, true,
        "share of " + std::to_string(sums.compared_rows) + " rows that both call the same"));
  }
  out.push_back(bounded("psi_max", median(sums.psi), gates.psi_max, false,
                        "median over " + std::to_string(sums.psi.size()) +
                            " devices: how far its scores are from its calibration"));
  if (!ring.empty()) {
    out.push_back(enough("rows_min", sums.rows, gates.rows_min, "rows scored"));
    if (shadow) {
      out.push_back(enough("alarms_min", sums.alarms + sums.rival_alarms, gates.alarms_min,
                           "alarms of both"));
    }
  }
  figures.baseline =
      shadow ? RolloutBaseline{.rows = sums.compared_rows,
                               .alarms = sums.rival_alarms,
                               .cost_p99 = median(sums.rival_cost).value_or(wire::kUnknown)}
             : state.baseline;
}

}  // namespace lapwing::hub::rollout
