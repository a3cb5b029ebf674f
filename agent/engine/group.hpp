// SPDX-License-Identifier: Apache-2.0
/// A group as its shard keeps it: readings of its sensors made into rows, rows into anomalies.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/alignment.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/pipeline.hpp"
#include "shared/detect/summary.hpp"
#include "shared/federate/reservoir.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::agent {

/// Ownership: borrows the configuration, which must outlive it. Events are appended.
/// Threads: one object is used from one thread at a time.
/// Cost: no allocation, lock or system call a reading.
class Group {
 public:
  /// `name` is one of the configuration's (see detect::Seat), `id_seed` as for GroupPipeline.
  /// `scorer` scores the rows; null: the group's own detector. Errors: bad_config (it refuses its
  /// settings).
  static Result<std::unique_ptr<Group>> make(const detect::GroupConfig& config, std::string name,
                                             std::uint64_t id_seed,
                                             std::unique_ptr<detect::GroupScorer> scorer = nullptr);

  /// Another one scores from the next row on. An anomaly of all sensors together that is open must
  /// have been ended (end_anomaly). Gives back what scored so far, to be destroyed where it may
  /// take its time.
  std::unique_ptr<detect::GroupScorer> exchange(std::unique_ptr<detect::GroupScorer> scorer) {
    return pipeline_->exchange(std::move(scorer));
  }
  std::unique_ptr<detect::GroupScorer> exchange_shadow(
      std::unique_ptr<detect::GroupScorer> shadow) {
    return pipeline_->exchange_shadow(std::move(shadow));
  }
  void end_anomaly(std::vector<detect::GroupEvent>& events) { pipeline_->end_anomaly(events); }
  [[nodiscard]] const detect::GroupScorer& scorer() const noexcept { return pipeline_->scorer(); }
  [[nodiscard]] const detect::GroupScorer* shadow() const noexcept { return pipeline_->shadow(); }
  /// What scores the rows: a model's label, or the detector's name.
  [[nodiscard]] const std::string& detector() const noexcept {
    return scorer().is_model() ? scorer().label() : config_->watch.detector;
  }

  /// The next reading of a sensor, by its place in the row; `now` is the wall clock.
  void push(std::size_t sensor, Time time, double value, Time now,
            std::vector<detect::GroupEvent>& events);
  /// Time passes: gives up waiting for rows, finds outages. About once a second.
  void tick(Time now, std::vector<detect::GroupEvent>& events);
  /// No reading comes any more: scores the rows that wait.
  void finish(Time now, std::vector<detect::GroupEvent>& events);

  void take(detect::Feedback feedback, std::vector<detect::GroupEvent>& events) {
    pipeline_->take(feedback, events);
  }
  /// The sensor is there; its tags go with its records.
  void join(std::size_t sensor, std::span<const wire::Tag> tags);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Some of its rows, for federated rounds; null: it shares none (GroupConfig::share). They begin
  /// anew with the process.
  [[nodiscard]] const federate::Reservoir* kept_rows() const noexcept {
    return kept_ ? &*kept_ : nullptr;
  }
  [[nodiscard]] const detect::GroupConfig& config() const noexcept { return *config_; }
  [[nodiscard]] const std::string& sensor(std::size_t place) const { return sensors_[place]; }
  [[nodiscard]] const std::vector<wire::Tag>& tags(std::size_t place) const {
    return members_[place].tags;
  }
  /// Those that all sensors seen so far share.
  [[nodiscard]] std::vector<wire::Tag> shared_tags() const;
  [[nodiscard]] wire::AnomalyRecord record(const detect::GroupEvent& event) const;
  /// Appends the group's summary and those of its sensors that said something; begins anew.
  void take_summaries(Time begin, Time end, std::vector<wire::SummaryRecord>& out);

  /// The group as a whole, as a stream without values; its `readings_total` counts rows.
  [[nodiscard]] detect::StreamState state() const noexcept;
  [[nodiscard]] detect::StreamState sensor_state(std::size_t place) const noexcept;
  /// Readings since the last call that were left out: too late for their row, or ahead of the
  /// clock.
  [[nodiscard]] std::uint64_t take_late() noexcept {
    return alignment_.late_total() - std::exchange(late_taken_, alignment_.late_total());
  }

  /// Rows since the last call that a model was to score, and that have no score.
  [[nodiscard]] std::uint64_t take_unscored() noexcept { return std::exchange(unscored_, 0); }

  /// Appends the whole state: which sensors, the interval between rows, and what was learnt.
  void snapshot(std::vector<std::byte>& out) const;
  /// Errors: corrupt, unsupported (other sensors, detector or warm-up): it then warms up anew.
  Result<void> restore(std::span<const std::byte> bytes);

 private:
  struct Member {
    std::vector<wire::Tag> tags;
    detect::Summary summary;
    Time last_time{};
    double last_value = wire::kUnknown;
    std::uint64_t readings_total = 0;
    bool joined = false;
  };
  Group(const detect::GroupConfig& config, std::string name,
        std::unique_ptr<detect::GroupPipeline> pipeline);
  void score_rows(Time now, std::vector<detect::GroupEvent>& events);
  [[nodiscard]] std::uint64_t sensors_print() const;

  const detect::GroupConfig* config_;
  std::string name_;
  std::vector<std::string> sensors_;
  std::vector<Member> members_;  ///< one a sensor
  detect::Alignment alignment_;
  std::unique_ptr<detect::GroupPipeline> pipeline_;
  detect::Summary summary_;  ///< of the rows
  std::optional<federate::Reservoir> kept_;
  std::uint64_t late_taken_ = 0;
  std::uint64_t unscored_ = 0;
};

}  // namespace lapwing::agent
