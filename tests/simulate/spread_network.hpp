// SPDX-License-Identifier: Apache-2.0
/// Between devices and replicas: what is lost, doubled or late, and lines and processes that go.
#pragma once

#include "tests/simulate/spread_versions.hpp"
#include "tests/simulate/spread_world.hpp"

#include <functional>
#include <set>

namespace lapwing::simulate {

/// Borrows the world and the versions. Takes `at_devices.fetch` and `report`.
/// Threads: its world's.
class SpreadNetwork {
 public:
  SpreadNetwork(SpreadWorld& world, const SpreadVersions& versions);
  SpreadNetwork(const SpreadNetwork&) = delete;
  SpreadNetwork& operator=(const SpreadNetwork&) = delete;

  /// Carries a message: late, perhaps twice or never.
  void carry(std::function<void()> arrive);
  /// To whichever replica is up, after `delay`.
  void connect(SpreadDevice& device, Micros delay);
  /// From now on its line goes, and now and then its process.
  void trouble(SpreadDevice& device);

 private:
  void watch(SpreadDevice& device);
  void again(SpreadDevice& device);
  void fetched(SpreadDevice& device, wire::Fetch wanted);
  void reported(SpreadDevice& device, const QueuedReport& queued);

  SpreadWorld& world_;
  const SpreadVersions& versions_;
  std::set<const SpreadDevice*> watched_;
};

}  // namespace lapwing::simulate
