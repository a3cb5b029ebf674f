// SPDX-License-Identifier: Apache-2.0
/// How a model is to spread: over which devices, in which rings, and what must hold on the way.
#pragma once

#include "hub/store/labels.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub::rollout {

/// Either `percent` or `label` says who is in it. Devices of earlier rings are never in it.
struct Ring {
  double percent = 0;             ///< of all chosen devices, with the rings before; (0, 100]
  std::string label;              ///< `key=value`: all chosen devices that have it
  std::uint32_t devices_min = 1;  ///< at least so many new ones, as far as there are, [1, 100000]
  std::optional<Micros> shadow_for;  ///< instead of the plan's
  std::optional<Micros> soak;        ///< likewise
  friend bool operator==(const Ring&, const Ring&) = default;
};

/// What must hold over the devices of the ring. Shares are of the ring's devices.
struct Gates {
  /// Alarms of the new model over those of the one before on the same rows, [1, 1000]; stops the
  /// rollout only when chance is out (evidence, see evidence.hpp).
  double alarm_ratio_max = 1.5;
  /// Once it is active, over what the one before did in shadow time: machines change meanwhile.
  double active_alarm_ratio_max = 3;
  double alarm_evidence_min = 100;  ///< [1, 1e9]: a sound model is stopped once in so many, at most
  double agreement_min = .95;       ///< share of the rows that both call the same, [0, 1]
  double psi_max = .25;             ///< median over devices, [0, 100]
  double cost_ratio_max = 2;        ///< of p99 of one row, to the model before, [1, 1000]
  Micros cost_allowance = std::chrono::microseconds(20);  ///< on top of that ratio
  double slow_share_max = .25;     ///< devices above cost_ratio_max and the allowance, [0, 1]
  double reverted_share_max = 0;   ///< went back by themselves after crashes, [0, 1]
  double failed_share_max = .05;   ///< refused it, could not get, load or confirm it, [0, 1]
  double silent_share_max = .05;   ///< silent beyond the deadline, [0, .19]
  std::uint64_t rows_min = 1'000;  ///< of the ring, before it is judged as good
  std::uint64_t alarms_min = 0;    ///< of both models together, in shadow, likewise
  friend bool operator==(const Gates&, const Gates&) = default;
};

/// Plain data. Durations are at most 30 days.
struct Plan {
  static constexpr std::size_t kRingsMax = 32;
  static constexpr std::size_t kDevicesMax = 10'000;  ///< named one by one
  static constexpr std::size_t kLabelsMax = 16;
  static constexpr Micros kDurationMax = std::chrono::hours(24 * 30);

  std::vector<std::string>
      devices;       ///< these; empty: those that know of the model, or have `labels`
  bool all = false;  ///< every device of the tenant instead
  Labels labels;     ///< of them only those with all of these
  std::vector<Ring> rings = {{.percent = 1, .label = {}, .shadow_for = {}, .soak = {}},
                             {.percent = 5, .label = {}, .shadow_for = {}, .soak = {}},
                             {.percent = 25, .label = {}, .shadow_for = {}, .soak = {}},
                             {.percent = 100, .label = {}, .shadow_for = {}, .soak = {}}};
  Micros shadow_for = std::chrono::hours(1);  ///< since all of the ring that live are in shadow
  Micros soak = std::chrono::hours(1);        ///< likewise, active
  /// A device that is to do something, or does, and says nothing for so long is silent. [1 s, .]
  Micros silence_after = std::chrono::minutes(15);
  Micros fetch_for = std::chrono::hours(2);      ///< to get the file; longer: failed
  Micros confirm_for = std::chrono::hours(1);    ///< after `soak`, to confirm; longer: failed
  Micros evidence_for = std::chrono::hours(24);  ///< beyond shadow_for or soak, for rows_min and
                                                 ///< alarms_min; longer: it pauses
  bool leave_out_offline = false;  ///< devices that are offline when their ring begins stay out
  Gates gates;

  /// Every problem, "key: what is wrong, what is allowed"; empty when usable.
  [[nodiscard]] std::vector<std::string> problems() const;
  [[nodiscard]] Micros shadow_of(std::size_t ring) const {
    return rings.at(ring).shadow_for.value_or(shadow_for);
  }
  [[nodiscard]] Micros soak_of(std::size_t ring) const {
    return rings.at(ring).soak.value_or(soak);
  }
  friend bool operator==(const Plan&, const Plan&) = default;
};

/// A JSON object; what is absent is as above. Durations are seconds, named `..._s`.
/// Errors: bad_input, all problems and unknown keys told.
Result<Plan> read_plan(std::string_view json);
[[nodiscard]] std::string write_plan(const Plan& plan);

}  // namespace lapwing::hub::rollout
