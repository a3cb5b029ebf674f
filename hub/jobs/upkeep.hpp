// SPDX-License-Identifier: Apache-2.0
/// What must be done for a store by one replica at a time: retention, silent devices, what has
/// expired, federated rounds.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/time.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace lapwing::hub {

struct UpkeepConfig {
  std::string replica = "hub";
  Micros silence = std::chrono::minutes(5);     ///< see IngestConfig
  Micros trim_every = std::chrono::minutes(1);  ///< see IngestConfig
  Micros look_every = std::chrono::seconds(2);  ///< at most half of Upkeep::kLease
  Micros keep_jobs = std::chrono::hours(24 * 7);
};

/// Looks every `look_every` whether the lease "upkeep" is its own or free, and if so does what is
/// due. One that dies is followed by another when its lease lapses, kLease at the latest; one that
/// stops gives it back.
///
/// A device is marked silent at the earliest kSettle after the lease was taken and after the store
/// failed last: by then each replica that lives has told that it hears (Hearing).
/// Threads: start and stop from one thread; round() from one thread at a time.
class Upkeep {
 public:
  static constexpr Micros kLease = std::chrono::seconds(20);
  static constexpr Micros kSettle = std::chrono::seconds(10);

  /// Borrows store and metrics, which must outlive it.
  Upkeep(UpkeepConfig config, Store& store, Metrics& metrics);
  ~Upkeep();
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

  void start();
  /// Ends the thread and gives the lease back. Repeatable.
  void stop();

  /// One look. Whether there is more to do at once.
  bool round(Time at);
  /// Whether the lease was its own at the last look.
  [[nodiscard]] bool holds() const { return held_since_.has_value(); }

 private:
  void run();
  bool hold_lease(Time at);
  void mark_silent(Time at);
  void expire(Time at);
  bool trim(Time at);
  void failed(const char* what, const Error& error);

  const UpkeepConfig config_;
  Store& store_;
  Gauge& holds_;
  Counter& errors_;

  std::optional<Time> held_since_;  ///< absent: another holds it, or nobody knows
  std::optional<Time> settled_at_;  ///< from then on silence is judged
  Time renew_at_{};
  Time next_trim_{};

  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
