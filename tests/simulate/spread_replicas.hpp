// SPDX-License-Identifier: Apache-2.0
/// The hub's processes: each has a runner and sends its devices their offers; they die, and fall
/// asleep, in the middle of what they do.
#pragma once

#include "hub/rollout/runner.hpp"
#include "tests/simulate/spread_network.hpp"
#include "tests/simulate/spread_versions.hpp"
#include "tests/simulate/spread_world.hpp"

#include <cstddef>

namespace lapwing::simulate {

/// Borrows all. Takes `rollouts.on_write`.
/// Threads: its world's.
class SpreadReplicas {
 public:
  SpreadReplicas(SpreadWorld& world, SpreadNetwork& network, SpreadVersions& versions);
  SpreadReplicas(const SpreadReplicas&) = delete;
  SpreadReplicas& operator=(const SpreadReplicas&) = delete;

  void start();

 private:
  void plan_death(std::size_t at);
  void die(std::size_t at);
  bool survives();
  void look(std::size_t at);
  bool step(std::size_t at, hub::rollout::Loaded seen);
  void send_due(std::size_t at);
  void offer(SpreadDevice& device);

  SpreadWorld& world_;
  SpreadNetwork& network_;
  SpreadVersions& versions_;
  std::size_t lease_holder_ = 0;
  Ticks lease_until_{};
  std::size_t writer_ = 0;  ///< whose write it is that may be its last
};

}  // namespace lapwing::simulate
