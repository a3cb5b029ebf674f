// SPDX-License-Identifier: Apache-2.0
/// What the parts of a run share: clock, dice, devices, replicas and the stores.
#pragma once

#include "shared/base/time.hpp"
#include "tests/simulate/events.hpp"
#include "tests/simulate/random.hpp"
#include "tests/simulate/spread.hpp"
#include "tests/simulate/spread_device.hpp"
#include "tests/support/rollout_stores.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::simulate {

struct SpreadReplica {
  bool up = true;
  std::uint64_t life = 0;  ///< counts deaths: what an older one was about to do is void
};

/// Everything draws from one `random`, so that a seed repeats its run. The parts put their hooks
/// into it (`targets`, `rollouts`, `at_devices`), so it neither moves nor is copied.
/// Threads: one.
struct SpreadWorld {
  static constexpr std::size_t kProblemsMax = 5;

  explicit SpreadWorld(const SpreadOptions& wanted) : options(wanted), replicas(wanted.replicas) {
    at_devices.wrong = [this](const std::string& what) { wrong(what); };
  }
  SpreadWorld(const SpreadWorld&) = delete;
  SpreadWorld& operator=(const SpreadWorld&) = delete;

  [[nodiscard]] Time wall() const {
    return kEpoch + (events.now() - Ticks(std::chrono::seconds(1)));
  }
  /// The rollout as it is kept.
  [[nodiscard]] hub::RolloutRow row() { return rollouts.get(kTenant, 1).value(); }
  void wrong(const std::string& what) {
    if (outcome.problems.size() < kProblemsMax) outcome.problems.push_back(what);
  }

  const SpreadOptions options;
  Random random{options.seed, 1};
  Events events;
  hub::MemoryTargets targets;
  hub::MemoryRollouts rollouts{targets};
  SpreadDevice::World at_devices{
      .events = events, .options = options, .fetch = {}, .report = {}, .wrong = {}};
  std::vector<std::unique_ptr<SpreadDevice>> devices;
  std::map<std::string, SpreadDevice*> by_name;
  std::vector<SpreadReplica> replicas;
  SpreadOutcome outcome;
};

}  // namespace lapwing::simulate
