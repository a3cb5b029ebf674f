// SPDX-License-Identifier: Apache-2.0
/// A model spreads over a fleet: the product's rollout, judge, activation and transfer, over a
/// network that loses, doubles and delays, and replicas that die in the middle of a write.
#pragma once

#include "hub/rollout/figures.hpp"
#include "hub/rollout/plan.hpp"
#include "hub/store/rollouts.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::simulate {

/// What the model does that is spread.
enum class Ailment : std::uint8_t {
  none,
  doubled_alarms,  ///< twice as many as the model before
  not_a_number,    ///< one score of 500
  slow,            ///< five times as slow
  crash,           ///< the agent dies of it after minutes
  silence,         ///< the model is sound; a fifth of the devices says nothing
};
/// Parts of the product that are broken on purpose.
enum class SpreadMutant : std::uint8_t {
  none,
  blind_to_alarms,
  blind_to_not_a_number,
  blind_to_cost,
  blind_to_crashes,
  blind_to_silence,
  no_compare,   ///< a step is kept whatever was stepped meanwhile
  forget_undo,  ///< who is taken back is not told
};

struct SpreadKind {
  std::string_view name;
  std::string_view what;
};
inline constexpr std::array<SpreadKind, 6> kAilments{{
    {"good", "a sound model"},
    {"doubled", "twice the alarms"},
    {"nan", "scores that are none"},
    {"slow", "five times as slow"},
    {"crash", "the agent dies of it"},
    {"silent", "20 % of the devices are silent"},
}};
inline constexpr std::array<SpreadKind, 8> kSpreadMutants{{
    {"none", "the rollout as it is"},
    {"blind_to_alarms", "the gate on alarms sees as many as before"},
    {"blind_to_not_a_number", "the gate on scores sees none that are none"},
    {"blind_to_cost", "the gate on cost sees what the model before costs"},
    {"blind_to_crashes", "the gate on crashes sees none"},
    {"blind_to_silence", "who is silent is taken for well"},
    {"no_compare", "a step is kept whatever was stepped meanwhile"},
    {"forget_undo", "who is taken back is not told"},
}};

struct SpreadOptions {
  std::uint64_t seed = 1;
  std::size_t devices = 1'000;
  std::size_t replicas = 3;
  Ailment ailment = Ailment::none;
  SpreadMutant mutant = SpreadMutant::none;
  bool first_model = false;  ///< there was no version before: the way back is none
  bool hostile = true;       ///< network, processes and replicas fail
};

struct SpreadOutcome {
  std::vector<std::string> problems;  ///< what did not hold
  hub::RolloutPhase end{};
  std::uint32_t ring = 0;  ///< the last one, from 1
  std::size_t touched = 0;
  std::size_t ran = 0;          ///< devices that ever ran it for good
  std::string reason;           ///< of the decision that ended it
  Micros took{0};               ///< until it ended (virtual)
  std::uint64_t kills = 0;      ///< of replicas
  std::uint64_t slept = 0;      ///< runners that acted on what they saw long before
  std::uint64_t overtaken = 0;  ///< steps given up for that
  std::uint64_t messages = 0;
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::vector<std::string> decisions;
};

/// One rollout from begin to end, and an hour beyond.
SpreadOutcome spread(const SpreadOptions& options);

/// The plan it has: alarms are waited for until a doubled rate would show.
[[nodiscard]] hub::rollout::Plan spread_plan();

/// Every ailment over seeds `first`..`last`, as a table. Whether all held.
bool run_spread(std::ostream& out, SpreadOptions options, std::uint64_t first, std::uint64_t last,
                unsigned jobs);
/// Each mutant has to be caught.
bool run_spread_mutants(std::ostream& out, SpreadOptions options, std::uint64_t seeds);
/// The ailment a mutant is blind to.
[[nodiscard]] Ailment shown_by(SpreadMutant mutant);

}  // namespace lapwing::simulate
