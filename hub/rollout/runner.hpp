// SPDX-License-Identifier: Apache-2.0
/// Carries rollouts out: reads what devices say, decides, keeps the step. One replica at a time.
#pragma once

#include "hub/rollout/decide.hpp"
#include "hub/store/rollouts.hpp"
#include "hub/store/store.hpp"
#include "hub/store/targets.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace lapwing::hub::rollout {

/// A rollout with all that is decided on. Owns.
struct Loaded {
  Plan plan;
  RolloutRow rollout;
  std::vector<View> views;
  [[nodiscard]] Situation at(Time now) const { return {plan, rollout, views, now}; }
};
/// Errors: as of the stores; corrupt (its plan cannot be read). Cost: a query a thousand devices.
Result<Loaded> load(Rollouts& rollouts, Targets& targets, RolloutRow row);

struct Stepped {
  bool more = false;       ///< there is more to do at once
  bool overtaken = false;  ///< another stepped meanwhile; nothing was done
  std::optional<RolloutDecision> decision;
};
/// One step of one rollout: at most one write, of all it changes.
Result<Stepped> step_once(Rollouts& rollouts, Targets& targets, RolloutRow row, Time now);

struct RunnerConfig {
  std::string replica = "hub";
  Micros every = std::chrono::seconds(2);
};

/// Looks every two seconds whether the lease "rollouts" is its own or free, and if so takes the
/// steps of all that are open. One that dies is followed by another when its lease lapses. That two
/// might believe to have it does no harm: a step is kept by compare-and-set, with the targets that
/// follow from it.
/// Threads: start and stop from one thread; round() from one thread at a time.
class Runner {
 public:
  static constexpr Micros kLease = std::chrono::seconds(20);
  /// Open ones looked at in a round, over all tenants: more than there may be of ten tenants.
  static constexpr std::size_t kOpenMax = 1'000;
  /// Steps of one rollout in a round; more follow in the next.
  static constexpr int kStepsMax = 100;

  /// Borrows store and metrics, which must outlive it.
  Runner(RunnerConfig config, Store& store, Metrics& metrics);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void start();
  /// Ends the thread and gives the lease back. Repeatable.
  void stop();

  /// One look, and what follows from it.
  void round(Time at);
  [[nodiscard]] bool holds() const { return held_; }

 private:
  void run();
  bool hold_lease(Time at);
  void step(const RolloutRow& row, Time at);
  void tell(const RolloutRow& row, const RolloutDecision& decision);
  void failed(const char* what, const Error& error);
  [[nodiscard]] bool stopping();

  const RunnerConfig config_;
  Store& store_;
  Metrics& metrics_;
  Gauge& holds_;
  Gauge& open_;
  Counter& errors_;
  Counter& overtaken_;

  bool held_ = false;
  Time renew_at_{};

  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub::rollout
