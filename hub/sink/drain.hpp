// SPDX-License-Identifier: Apache-2.0
/// Hands on what waits in the spool for one sink.
#pragma once

#include "hub/sink/config.hpp"
#include "hub/sink/counts.hpp"
#include "hub/sink/producer.hpp"
#include "hub/store/spool.hpp"
#include "shared/base/metrics.hpp"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace lapwing::hub {

/// While it holds the sink's lease: reads the oldest rows, delivers them, waits for every report,
/// removes what arrived; of a device only what no failure came before. So a device's records come
/// in order, at least once. Keeps the spool within its bounds, looking every five seconds.
///
/// Threads: one of its own, ended by the destructor (what is under way is left to the next holder).
class Drain {
 public:
  /// Borrows `spool` and `metrics`.
  Drain(const SinkConfig& config, Spool& spool, Metrics& metrics);
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  /// What is wrong, for people; empty: nothing.
  [[nodiscard]] std::string note() const;

 private:
  void run();
  bool pause(Micros time);
  bool hold_lease();
  bool make_producer();
  bool look_after(std::uint64_t in_flight);
  void keep_bounds(std::uint64_t in_flight);
  void show(const SpoolFigures& figures);
  void round();
  void settle(std::span<const SpoolRow> rows, std::span<const Fate> fates);
  void remove(std::span<const std::uint64_t> numbers);
  void complain(const std::string& what);

  const SinkConfig config_;
  Spool& spool_;
  SinkCounts counts_;
  Gauge& rows_;
  Gauge& bytes_;
  Gauge& age_;
  Counter& given_up_;
  const std::string holder_;
  std::unique_ptr<Producer> producer_;
  Ticks next_lease_{};
  Ticks next_bounds_{};
  std::size_t one_by_one_ = 0;  ///< rows to deliver alone: one of them was refused
  Micros back_off_{};
  mutable std::mutex note_mutex_;
  std::string note_;
  std::mutex pause_mutex_;
  std::condition_variable_any paused_;
  std::stop_token stop_;  ///< of the thread, which is the only one to use it
  std::jthread thread_;
};

}  // namespace lapwing::hub
