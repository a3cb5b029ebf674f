// SPDX-License-Identifier: Apache-2.0
/// An agent of the simulated fleet: what it keeps, and its process.
#pragma once

#include "agent/models/activation.hpp"
#include "shared/release/judge.hpp"
#include "shared/sync/fetch.hpp"
#include "tests/simulate/events.hpp"
#include "tests/simulate/random.hpp"
#include "tests/simulate/spread.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace lapwing::simulate {

inline constexpr const char* kTenant = "acme";
inline constexpr const char* kModel = "pumps";
inline constexpr std::uint64_t kOld = 3;   ///< runs before
inline constexpr std::uint64_t kNew = 4;   ///< is spread
inline constexpr std::uint64_t kUndo = 5;  ///< the content of kOld
/// The wall clock when the virtual one begins.
inline constexpr Time kEpoch = from_micros(1'790'000'000'000'000);

struct QueuedReport {
  std::uint64_t seq = 0;
  wire::ModelReport report;
};

/// Threads: its world's.
class SpreadDevice {
 public:
  /// What it needs of the world around it. Borrowed.
  struct World {
    Events& events;
    const SpreadOptions& options;
    agent::ModelVersion old = {};  ///< what runs before, with its bytes
    std::string old_bytes = {};
    std::function<void(SpreadDevice&, wire::Fetch)> fetch;  ///< to some replica
    std::function<void(SpreadDevice&, const QueuedReport&)> report;
    std::function<void(const std::string&)> wrong;
  };

  SpreadDevice(World& world, std::size_t number, const release::KeyList& keys);

  void start();
  void offer(const wire::Offer& offer);
  void chunk(const wire::Chunk& chunk);
  void acknowledge(std::uint64_t seq);
  void connected(bool on);
  void kill(Micros down);

  const std::string name;
  const bool silent;  ///< says and hears nothing, for ever
  bool online = false;
  std::size_t replica = 0;
  std::uint64_t heard = 0;                 ///< at the hub: the newest report's number
  std::set<std::uint64_t> offered_shadow;  ///< by the hub, versions
  std::set<std::uint64_t> offered_active;
  /// By its replica: the newest offer since it connected.
  struct Sent {
    std::uint64_t offer = 0;
    Ticks at{};
  };
  Sent sent;
  bool ran_new = false;

  /// What runs now; absent: the group's own detector.
  [[nodiscard]] std::optional<std::uint64_t> active() const { return engine_active_; }
  [[nodiscard]] bool alive() const { return alive_; }

 private:
  void act(const agent::ModelActions& actions);
  void install(agent::ModelSlot slot, const std::optional<agent::ModelVersion>& version);
  void fetch(const agent::ModelVersion& version);
  void act(const sync::FetchActions& actions);
  void report(const agent::model_action::Report& said);
  void tick();
  void flush();
  void plan_crash();
  [[nodiscard]] bool is_new(const std::optional<std::uint64_t>& version) const {
    return version == kNew;
  }
  [[nodiscard]] wire::ModelStatistics statistics(agent::ModelSlot slot);
  [[nodiscard]] Time wall() const;

  World& world_;
  Random random_;
  // On disk.
  release::Remembered remembered_;
  agent::ActivationState kept_;
  std::map<std::string, std::string> files_;  ///< whole and begun ones, by digest
  std::deque<QueuedReport> queue_;
  std::uint64_t seq_ = 0;
  // Of the process.
  bool alive_ = false;
  std::uint64_t process_ = 0;  ///< counts starts: events of an older one are void
  std::unique_ptr<release::Judge> judge_;
  std::unique_ptr<agent::Activation> activation_;
  std::unique_ptr<sync::Fetcher> fetcher_;
  std::string schema_;
  std::optional<std::uint64_t> engine_active_;
  std::optional<std::uint64_t> engine_shadow_;
  Ticks active_since_{};
  Ticks shadow_since_{};
  Ticks counted_until_{};
  wire::ModelStatistics shadow_sums_;
  wire::ModelStatistics active_sums_;
};

}  // namespace lapwing::simulate
