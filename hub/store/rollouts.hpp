// SPDX-License-Identifier: Apache-2.0
/// Staged distributions of models: what was planned, which device is in which ring, how far it is,
/// and what was decided on the way.
#pragma once

#include "hub/store/store.hpp"
#include "hub/store/targets.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

enum class RolloutPhase : std::uint8_t {
  waiting = 1,       ///< begins with the next step
  shadow = 2,        ///< the ring's devices score with it beside what they run
  active = 3,        ///< they run it; it soaks
  paused = 4,        ///< no step is taken and nothing is judged
  done = 5,          ///< ended: all rings run it
  aborted = 6,       ///< ended: devices keep what they have
  rolling_back = 7,  ///< each touched device is told to run the undo version
  rolled_back = 8,   ///< ended: those that answer do
};
[[nodiscard]] constexpr bool has_ended(RolloutPhase phase) {
  return phase == RolloutPhase::done || phase == RolloutPhase::aborted ||
         phase == RolloutPhase::rolled_back;
}

/// What the model before did on the ring's devices while the new one was in shadow.
struct RolloutBaseline {
  std::uint64_t rows = 0;
  std::uint64_t alarms = 0;
  double cost_p99 = wire::kUnknown;  ///< median over devices, seconds
  friend bool operator==(const RolloutBaseline&, const RolloutBaseline&) = default;
};

/// How far a rollout is. Plain data.
struct RolloutState {
  RolloutPhase phase = RolloutPhase::waiting;
  RolloutPhase resume = RolloutPhase::waiting;  ///< paused: where it goes on
  std::uint32_t ring = 0;                       ///< the present or last one, from 0
  Time since{};                                 ///< of the phase
  Time judged_from{};                           ///< begun or resumed: no silence before it counts
  std::optional<Time> ready_at;  ///< when all of the ring that live had reached the phase's stage
  RolloutBaseline baseline;      ///< of the ring; active only
  std::string text;              ///< why it is where it is, for people
};

struct RolloutRow {
  std::string tenant;
  std::uint64_t id = 0;  ///< over all tenants; grows, never used twice
  std::string model;
  std::uint64_t number = 0;  ///< the new version
  std::uint64_t undo = 0;    ///< the version with the content before; 0: none is run any more
  std::string plan;          ///< JSON (hub/rollout/plan.hpp)
  RolloutState state;
  std::uint64_t revision = 1;  ///< grows with each step
  std::string actor;           ///< as in AuditRow
  Time created_at{};
  std::optional<Time> ended_at;
};

/// A device of a rollout.
struct RolloutMember {
  std::string device;
  std::uint32_t ring = 0;
  bool left_out = false;  ///< it was offline when its ring began, and the plan allows that
  bool online = false;    ///< now
  friend bool operator==(const RolloutMember&, const RolloutMember&) = default;
};

struct RolloutDecision {
  std::uint64_t number = 0;  ///< of the rollout, from 1
  Time at{};
  std::string actor;    ///< as in AuditRow; `rollout`: the hub itself
  std::string action;   ///< begin, ring, activate, pause, resume, abort, roll_back, ...
  std::string text;     ///< for people
  std::string figures;  ///< JSON: the numbers that made it
};

/// One change of a rollout.
struct RolloutStep {
  std::string tenant;
  std::uint64_t id = 0;
  std::uint64_t revision = 0;  ///< the one it was decided on
  RolloutState state;
  std::optional<RolloutDecision> decision;  ///< its number is given here
  std::vector<std::string> left_out;        ///< members from now on
  std::vector<Target> targets;              ///< wanted from now on, as of Targets::want
  Time at{};
};

/// Bounds: one open rollout per model, kOpenMax of a tenant; kMembersMax devices; kDecisionsMax
///   decisions of a rollout; the newest kEndedMax of a tenant that have ended.
/// Errors: not_found, exists (one is open for that model), limit, bad_input (no device, or one the
///   tenant does not have), io, corrupt. Threads: as Store.
class Rollouts {
 public:
  static constexpr std::size_t kOpenMax = 100;
  static constexpr std::size_t kEndedMax = 500;
  static constexpr std::size_t kMembersMax = 100'000;
  static constexpr std::size_t kDecisionsMax = 300;
  /// Steps with a decision of a person stop that much earlier, so that there is room to roll back.
  static constexpr std::size_t kDecisionsReserved = 200;
  static constexpr const char* kHubActor = "rollout";  ///< in decisions that no person made

  virtual ~Rollouts() = default;
  Rollouts(const Rollouts&) = delete;
  Rollouts& operator=(const Rollouts&) = delete;

  /// Gives it its id, calls `order` with it for the members, and keeps both.
  using Order = std::function<std::vector<RolloutMember>(std::uint64_t id)>;
  virtual Result<RolloutRow> add(const RolloutRow& row, const Order& order) = 0;
  virtual Result<RolloutRow> get(std::string_view tenant, std::uint64_t id) = 0;
  virtual Result<Page<RolloutRow>> list(std::string_view tenant,
                                        const PageRequest& page) = 0;  ///< newest first
  /// Those that have not ended and are not paused, over all tenants, oldest first.
  virtual Result<std::vector<RolloutRow>> open(std::size_t limit) = 0;
  virtual Result<Page<RolloutMember>> members(std::string_view tenant, std::uint64_t id,
                                              const PageRequest& page) = 0;  ///< by device
  virtual Result<Page<RolloutDecision>> decisions(std::string_view tenant, std::uint64_t id,
                                                  const PageRequest& page) = 0;  ///< newest first

  /// All of it, or nothing: false when `revision` is not the newest any more, or it has ended. So
  /// of any number of callers who decided on one revision, one steps.
  virtual Result<bool> step(const RolloutStep& step) = 0;

 protected:
  Rollouts() = default;
};

}  // namespace lapwing::hub
