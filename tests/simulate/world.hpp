// SPDX-License-Identifier: Apache-2.0
/// Devices, brokers, hubs and their store in one thread, by one seed.
#pragma once

#include "tests/simulate/events.hpp"
#include "tests/simulate/faults.hpp"
#include "tests/simulate/mutants.hpp"
#include "tests/simulate/random.hpp"
#include "tests/simulate/store.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::simulate {

class Device;
class Replica;
struct Link;

struct WorldOptions {
  std::uint64_t seed = 1;
  std::size_t devices = 50;
  std::optional<std::size_t> only;  ///< this device alone, with the faults it had among all
  std::size_t regions = 2;          ///< every fourth seed has one hub that stands alone
  std::size_t replicas = 3;         ///< of each region
  Micros hostile = std::chrono::minutes(30);   ///< then everything heals
  Micros recovery = std::chrono::minutes(20);  ///< I5: within it all is delivered
  FaultSet faults = FaultSet().set();
  Mutant mutant = Mutant::none;
  std::size_t trace = 0;  ///< events to remember for the report of a failure
};

/// What a seed came to.
struct Outcome {
  std::vector<std::string> problems;  ///< empty: every invariant held
  std::size_t device = 0;             ///< that the first problem is about
  FaultCounts faults{};
  std::uint64_t records = 0;   ///< made durable by agents
  std::uint64_t lost = 0;      ///< of them, each with its loss at the hub
  std::uint64_t messages = 0;  ///< to hubs and back
  std::uint64_t resends = 0;
  std::uint64_t epochs = 0;  ///< granted beyond each device's first
  std::uint64_t quarantines = 0;
  std::uint64_t events = 0;
  Micros recovery{0};
  Micros simulated{0};  ///< device time
  std::deque<std::string> trace;
};

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Outcome run();

  // What the actors use.
  [[nodiscard]] Ticks now() const { return events_.now(); }
  void after(Micros delay, std::function<void()> happen) {
    events_.after(delay, std::move(happen));
  }
  [[nodiscard]] std::uint64_t seed() const { return options_.seed; }
  [[nodiscard]] bool is(Mutant mutant) const { return options_.mutant == mutant; }
  [[nodiscard]] double level(Fault fault) const { return levels_[index(fault)]; }
  [[nodiscard]] bool calm() const { return calm_; }
  void count(Fault fault) { ++outcome_.faults[index(fault)]; }
  Outcome& outcome() { return outcome_; }
  DeviceRows& rows(std::size_t region, std::size_t name) { return stores_[region][name]; }
  std::size_t devices() const { return options_.devices; }
  std::size_t regions() const { return stores_.size(); }
  /// Its number in the protocol.
  [[nodiscard]] sync::Region region(std::size_t index) const {
    return {regions() == 1 ? 0 : static_cast<std::uint32_t>(index) + 1, {}};
  }
  [[nodiscard]] std::size_t region_index(std::uint32_t number) const {
    return number == 0 ? 0 : number - 1;
  }
  /// A replica of the region whose broker takes connections, at random; null when there is none.
  Replica* replica_for(Random& random, std::size_t region);
  /// The region granted the epoch: no other did.
  void granted(std::size_t region, std::size_t name, std::uint64_t epoch);
  /// The region counts these numbers as kept by others: they are, or were until their database was
  /// restored.
  void counted_elsewhere(std::size_t region, std::size_t name, std::uint64_t epoch,
                         std::uint64_t seq);
  /// A copy of the device is connected by this connection, as far as both ends know.
  [[nodiscard]] bool connected(std::size_t name, const std::string& connection_id) const;
  void claim(bool holds, std::size_t name, const std::string& what);
  void note(std::size_t name, const std::string& what);
  [[nodiscard]] bool tracing() const { return options_.trace > 0; }

 private:
  void schedule();
  void set_level(Fault fault);
  void strike(Fault fault);
  void clone(Device& original);
  void cut_region();
  void restore_store(std::size_t region);
  void operate();
  void operate_on(std::size_t name);
  void end_hostilities();
  [[nodiscard]] bool any(std::initializer_list<Fault> faults) const;
  [[nodiscard]] bool delivered(const Device& device) const;
  [[nodiscard]] bool delivered() const;
  void check();
  void check_device(const Device& device);
  void check_rows(const DeviceRows& rows, std::size_t name);
  void check_union(std::size_t name);
  [[nodiscard]] bool kept(std::size_t name, Content content) const;

  WorldOptions options_;
  Random random_;
  Events events_;
  Outcome outcome_;
  bool calm_ = false;
  std::vector<Spell> spells_;
  std::array<double, kFaults> levels_{};
  std::vector<std::vector<DeviceRows>> stores_;                ///< by region and device
  std::optional<std::size_t> cut_;                             ///< region that nobody reaches
  std::vector<std::map<std::uint64_t, std::size_t>> granted_;  ///< by device: epoch, region
  /// What a restored database no longer has, by region and device.
  struct Forfeited {
    std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
    std::set<Content> contents;
  };
  std::vector<std::vector<Forfeited>> forfeited_;
  std::set<std::size_t> forked_;  ///< devices that had two histories: restored or cloned
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::unique_ptr<Device>> devices_;  ///< clones behind the others
};

}  // namespace lapwing::simulate
