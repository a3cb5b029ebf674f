// SPDX-License-Identifier: Apache-2.0
/// Readings of several streams, each at its own times, made into rows by event time.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lapwing::detect {

struct AlignmentSettings {
  std::size_t sensors = 1;         ///< [1, 4096]
  Micros wait{5'000'000};          ///< how long an incomplete row is waited for, >= 0
  std::optional<Micros> interval;  ///< between rows, > 0; learnt when it is not given
  std::size_t rows_max = 64;       ///< rows waiting at the same time, [2, 65536]
};

/// A row: the newest reading of every sensor within one interval. Borrowed: valid until the next
/// call of the alignment it came from.
struct AlignedRow {
  Time time{};                     ///< end of the interval
  std::span<const double> values;  ///< one per sensor; NaN = it said nothing in the interval
};

/// Event time is cut into intervals of equal length, so placed that the first reading lies in the
/// middle of one: sensors that are read together then fall into the same interval in spite of some
/// jitter.
///
/// A row is complete, and taken with next(), as soon as every sensor has reported in its interval
/// or a later one. It is given up waiting, with NaN for what is missing, when event time (the
/// newest reading of any sensor) or the wall clock since the row's first reading has gone `wait`
/// beyond it, or when more than rows_max rows wait. Rows come in the order of their time, each
/// once; intervals in which no sensor said anything make no row. When one sensor says more than one
/// thing in an interval, the last counts.
///
/// A reading for a row that was already given is late: it is counted and dropped. So is one that is
/// ahead of the wall clock by more than `wait` and a minute: one wrong clock must not close the
/// rows of the others. When nothing but late readings come, kLateRun for every sensor, the clocks
/// were set back, and rows go on from there.
///
/// Interval: when it is not given it is the slowest sensor's usual one, that is the median of the
/// first kLearn intervals of each, among the sensors that have as many by the time one has eight
/// times as many. Readings until then are counted as learnt from, and make no row.
///
/// Units: values pass unchanged. Threads: distinct objects are safe; no threads or clocks of its
/// own. Cost: O(1) a reading and O(sensors) a row; no allocation after construction.
class Alignment {
 public:
  static constexpr std::size_t kLearn = 15;
  static constexpr std::size_t kLateRun = 16;

  explicit Alignment(const AlignmentSettings& settings);

  /// Takes a reading of a sensor (its place in the row) with its event time. `now` is the wall
  /// clock at its arrival. Take the rows that are ready, with next(), before the next reading; else
  /// the oldest may be lost.
  void push(std::size_t sensor, Time time, double value, Time now) noexcept;
  /// Time passes without readings.
  void tick(Time now) noexcept;
  /// No reading comes any more: every row that waits is ready.
  void finish() noexcept;
  /// The oldest row that is ready; nullopt when there is none.
  [[nodiscard]] std::optional<AlignedRow> next() noexcept;

  /// nullopt while it is being learnt.
  [[nodiscard]] std::optional<Micros> interval() const noexcept;
  [[nodiscard]] std::uint64_t late_total() const noexcept { return late_; }
  [[nodiscard]] std::uint64_t learnt_from_total() const noexcept { return learnt_from_; }
  [[nodiscard]] std::size_t waiting() const noexcept;

 private:
  struct Row {
    std::int64_t slot = 0;
    Time first_arrival{};
    bool used = false;
  };
  struct Learner {
    Time last{};
    std::uint32_t count = 0;  ///< intervals
    bool any = false;
  };
  void learn(std::size_t sensor, Time time) noexcept;
  void start(Micros interval, Time at) noexcept;
  [[nodiscard]] std::int64_t slot_of(Time time) const noexcept;
  [[nodiscard]] Time end_of(std::int64_t slot) const noexcept;
  std::size_t row_for(std::int64_t slot) noexcept;
  void restart() noexcept;
  [[nodiscard]] bool ready(const Row& row) const noexcept;
  [[nodiscard]] std::optional<std::size_t> oldest() const noexcept;

  AlignmentSettings settings_;
  std::int64_t interval_ = 0;  ///< microseconds; 0: not known
  std::int64_t origin_ = 0;    ///< where interval 0 begins
  std::int64_t given_ = 0;     ///< newest slot that was given
  std::int64_t newest_ = 0;    ///< newest slot seen
  std::int64_t forced_ = 0;    ///< slots up to here are ready whatever is missing
  Time newest_time_{};
  Time now_{};
  std::uint64_t late_ = 0;
  std::uint64_t learnt_from_ = 0;
  std::uint64_t late_run_ = 0;
  std::vector<Row> rows_;               ///< in no order; one more than may wait
  std::vector<double> values_;          ///< [row][sensor]
  std::vector<std::int64_t> reported_;  ///< newest slot of each sensor
  std::vector<double> out_;             ///< the row given last
  std::vector<Learner> learners_;
  std::vector<std::int64_t> intervals_;  ///< [sensor][kLearn]
};

}  // namespace lapwing::detect
