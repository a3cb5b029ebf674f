// SPDX-License-Identifier: Apache-2.0
/// Checks that come before any detector: is the reading there, finite, in order, in range, alive?
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/watch.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <optional>

namespace lapwing::detect {

/// A check's complaint. Score: above 1, by how far; detail as in Event.
struct Complaint {
  wire::Reason reason = wire::Reason::out_of_range;
  double score = 0;
  double detail = 0;
};

/// What the checks say about one reading.
struct Checked {
  bool dropped = false;   ///< repeated or late: not a reading of this stream's future
  bool withheld = false;  ///< not for the detector: it would learn a fault
  bool missing = false;   ///< no number
  Time time{};            ///< the event time to use (the arrival's where the clock is impossible)
  std::optional<Complaint> complaint;  ///< about this reading; at most one, the plainest
  std::optional<Complaint> clock;      ///< about its time
  std::optional<Complaint> gap;        ///< a hole between the reading before and this one
  Time stuck_since{};                  ///< when the complaint is `stuck`
};

/// The state of the checks for one stream. Usual interval, longest pause and longest run of one
/// value are learnt from the readings; what was reported is not learnt as usual. Threads: distinct
/// objects are safe. Cost: 10 ns a reading, no allocation.
class Quality {
 public:
  Checked check(Time time, double value, Time now, const WatchConfig& watch) noexcept;

  /// The complaint when nothing has come for too long by the wall clock.
  [[nodiscard]] std::optional<Complaint> silence(Time now, const WatchConfig& watch) const noexcept;
  /// The process was down itself: its own pause is no outage of the sensor.
  void resumed(Time now) noexcept;
  /// The value that repeats now is normal.
  void accept_run() noexcept;

  [[nodiscard]] bool any() const noexcept { return readings_ > 0; }
  [[nodiscard]] Time last_time() const noexcept { return last_time_; }
  /// Learnt from event times; 0 until two readings came.
  [[nodiscard]] double readings_per_week() const noexcept;

  template <class A>
  void fields(A& archive) {
    archive(last_time_, last_arrival_, last_value_, run_since_, same_time_since_, back_time_);
    archive(interval_mean_, interval_usual_, pause_max_, arrival_pause_max_, run_mean_);
    archive(clock_trouble_, readings_, intervals_, changes_, run_, run_max_, same_time_, back_run_);
    archive(stuck_, skip_gap_);
  }

 private:
  bool check_clock(Checked& checked, double value, Time now) noexcept;
  void check_gap(Checked& checked, Time now, const WatchConfig& watch) noexcept;
  void check_stuck(Checked& checked, double value, const WatchConfig& watch) noexcept;
  [[nodiscard]] double gap_limit_seconds(const WatchConfig& watch) const noexcept;
  [[nodiscard]] bool varies() const noexcept;
  [[nodiscard]] double run_limit() const noexcept;

  Time last_time_{};
  Time last_arrival_{};
  double last_value_ = 0;
  Time run_since_{};
  Time same_time_since_{};  ///< arrival of the first reading with this event time
  Time back_time_{};
  float interval_mean_ = 0;   ///< seconds
  float interval_usual_ = 0;  ///< seconds, about the median
  float pause_max_ = 0;       ///< seconds, longest not reported, by event time
  float arrival_pause_max_ = 0;
  float run_mean_ = 1;  ///< readings, of the runs that ended
  float clock_trouble_ = 0;
  std::uint64_t readings_ = 0;
  std::uint32_t intervals_ = 0;
  std::uint32_t changes_ = 0;  ///< readings that differed from the one before
  std::uint32_t run_ = 1;      ///< readings in a row with the same value
  std::uint32_t run_max_ = 1;  ///< longest, not reported
  std::uint32_t same_time_ = 0;
  std::uint32_t back_run_ = 0;
  bool stuck_ = false;
  bool skip_gap_ = false;
};

}  // namespace lapwing::detect
