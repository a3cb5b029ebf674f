// SPDX-License-Identifier: Apache-2.0
/// A group's way from rows to anomalies: quality of each sensor > detector > calibration >
/// decision.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/feedback.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/group_scorer.hpp"
#include "shared/detect/quality.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// The newest state of a group, for status pages.
struct GroupState {
  Time last_time{};  ///< of the last row taken; the epoch when there is none
  float last_score = 0;
  bool warm = false;
  std::uint32_t anomalies_open = 0;  ///< of the group and of its sensors
  std::uint64_t rows_total = 0;
  std::uint64_t dropped_total = 0;  ///< rows out of order or repeated
};

/// Everything kept for one group.
///
/// Every sensor passes the quality checks by itself: what they find is an anomaly of that sensor,
/// and is not learnt in the warm-up; the other sensors go on. A sensor that is missing for long is
/// reported as an outage; when all are, the outage is the group's. The threshold comes from scores
/// of the warm-up that are honest (Detector::warmup_scores) where the kind tells them, so that the
/// whole warm-up teaches both; else from its last 40 %.
///
/// A model takes the place of the detector between two rows (exchange()): no warm-up, the threshold
/// comes from its own calibration, the checks of the sensors go on. Another one may score the same
/// rows beside it as a shadow: what it finds is only counted.
///
/// Ownership: borrows the configuration, which must outlive it. Events are appended.
/// Errors: rows have none: whatever is wrong with one becomes an event and a counter.
/// Threads: distinct objects are safe; one object is used from one thread at a time.
/// Cost: no allocation, lock or system call per row (the events vector may grow when an anomaly
///   opens or closes). About 1.3 KiB a sensor besides the detector.
/// Repeatable: same configuration, seed and rows give the same bits.
class GroupPipeline {
 public:
  /// `id_seed` makes anomaly ids unique per device, as for Pipeline. `sensors` is the row's width.
  /// Errors: bad_config (no such detector for groups, or it refuses its settings).
  static Result<std::unique_ptr<GroupPipeline>> make(const GroupConfig& group, std::size_t sensors,
                                                     std::uint64_t id_seed);
  /// As above, with this from the first row on; its detector is as wide as `sensors`.
  static std::unique_ptr<GroupPipeline> make(const GroupConfig& group, std::size_t sensors,
                                             std::uint64_t id_seed,
                                             std::unique_ptr<GroupScorer> scorer);
  /// Likewise with a model.
  static std::unique_ptr<GroupPipeline> make(const GroupConfig& group, std::size_t sensors,
                                             std::uint64_t id_seed, TrainedModel trained);
  ~GroupPipeline();
  GroupPipeline(const GroupPipeline&) = delete;
  GroupPipeline& operator=(const GroupPipeline&) = delete;

  /// Takes the next row; NaN = missing. `now` is the wall clock (the row's time when replaying).
  GroupVerdict push(Time time, std::span<const double> row, Time now,
                    std::vector<GroupEvent>& events);
  /// Time passes, maybe without rows: finds outages, GroupConfig::wait later than a single stream's
  /// would be. About once a second while live; never when replaying.
  void tick(Time now, std::vector<GroupEvent>& events);
  /// The rows end for good: open anomalies are closed at their last instant.
  void finish(std::vector<GroupEvent>& events);

  /// The group's own detector, new: what exchange() takes to end a model's time. Errors: as make.
  static Result<std::unique_ptr<GroupScorer>> make_scorer(const GroupConfig& group,
                                                          std::size_t sensors);
  /// The anomaly that the sensors together make, if one is open, ends at the last row.
  void end_anomaly(std::vector<GroupEvent>& events);
  /// Scores from the next row on; gives back what did so far. Call end_anomaly() before.
  std::unique_ptr<GroupScorer> exchange(std::unique_ptr<GroupScorer> scorer) noexcept;
  /// Scores beside from the next row on; null: nothing does. Gives back what did so far.
  std::unique_ptr<GroupScorer> exchange_shadow(std::unique_ptr<GroupScorer> shadow) noexcept;
  /// What scores now, and what does beside it (null: nothing).
  [[nodiscard]] const GroupScorer& scorer() const noexcept { return *scorer_; }
  [[nodiscard]] const GroupScorer* shadow() const noexcept { return shadow_.get(); }

  [[nodiscard]] GroupState state() const noexcept;
  /// Of one sensor by itself: outages and what its own checks found.
  [[nodiscard]] std::uint32_t anomalies_open(std::size_t sensor) const noexcept;
  /// A person's word on the newest anomaly of the group. What is normal now, in any sensor, is no
  /// anomaly any more.
  void take(Feedback feedback, std::vector<GroupEvent>& events);
  /// The sensors' shares in the score of the last row that was not dropped, one each. They add up
  /// to 1, or are 0 where nothing could be scored. Borrowed until the next push. Not known after
  /// explain_anomalies_only().
  [[nodiscard]] std::span<const float> contributions() const noexcept { return shares_; }

  /// A model explains only the rows that make the peak of an anomaly: a row costs less.
  void explain_anomalies_only() noexcept { explain_ = false; }

  [[nodiscard]] std::size_t state_bytes() const noexcept;
  /// Appends the whole state (framed, checksummed, little-endian).
  void snapshot(std::vector<std::byte>& out) const;
  /// Goes on where the snapshot was taken. Errors: corrupt, unsupported (another version, width,
  /// detector, warm-up or model): the group then warms up anew. Where a model has come or gone
  /// since the sensors' own state is kept all the same, and an open anomaly of all together ends.
  Result<void> restore(std::span<const std::byte> bytes);

 private:
  struct State;
  GroupPipeline(const GroupConfig& group, std::size_t sensors, std::uint64_t id_seed,
                std::unique_ptr<GroupScorer> scorer);

  void check_hole(Time time, Time row_before, std::span<const double> row,
                  std::vector<GroupEvent>& events);
  void check_sensors(Time time, std::span<const double> row, std::vector<GroupEvent>& events);
  GroupVerdict score(Time time, std::vector<GroupEvent>& events);
  void score_shadow(const GroupRow& row, const RowOutcome& active);
  void report(std::int32_t sensor, std::vector<GroupEvent>& events);
  void accept_new_normal() noexcept;
  void accept_if_lasting(Time time, std::vector<GroupEvent>& events);
  [[nodiscard]] std::uint64_t tag() const noexcept;
  [[nodiscard]] std::uint64_t rows_tag() const noexcept;
  Result<void> restore_model(std::span<const std::byte> bytes);
  bool restore_rows(std::span<const std::byte> bytes);

  const GroupConfig* group_;
  std::uint64_t id_seed_;
  std::unique_ptr<GroupScorer> scorer_;
  std::unique_ptr<GroupScorer> shadow_;
  std::unique_ptr<State> state_;
  std::vector<double> row_;        ///< what the detector is given
  std::vector<Checked> checked_;   ///< of the row's readings
  std::vector<Time> seen_before_;  ///< when each sensor was last seen before the row
  std::vector<float> shares_;      ///< contributions to the row
  std::vector<float> shadow_shares_;
  std::vector<Event> scratch_;  ///< between a decision and the caller's vector
  std::vector<Event> shadow_scratch_;
  bool explain_ = true;
};

}  // namespace lapwing::detect
