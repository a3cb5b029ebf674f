// SPDX-License-Identifier: Apache-2.0
/// What must hold while a model spreads, and at the end.
#pragma once

#include "tests/simulate/spread_world.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lapwing::simulate {

/// Borrows its world and tells it what is wrong. Takes `targets.on_want`.
/// Threads: its world's.
class SpreadOracle {
 public:
  explicit SpreadOracle(SpreadWorld& world);
  SpreadOracle(const SpreadOracle&) = delete;
  SpreadOracle& operator=(const SpreadOracle&) = delete;

  /// Who is in which ring, before the first target is wanted.
  void rings(const std::vector<hub::RolloutMember>& members);
  /// `ended`: the rollout when it ended, or when patience did; the world is an hour further.
  void judge(const hub::RolloutRow& ended);

 private:
  /// Of a device, so far.
  struct Told {
    bool told = false;
    bool active = false;
    bool undone = false;
  };
  void wanted(const hub::TargetRow& row);
  void judge_good();
  void judge_bad();

  SpreadWorld& world_;
  std::map<std::string, std::uint32_t> ring_of_;
  std::size_t first_ring_ = 0;  ///< devices in it
  std::map<std::string, Told> last_wanted_;
};

}  // namespace lapwing::simulate
