// SPDX-License-Identifier: Apache-2.0
/// From a detector's raw score to one that is above 1 when anomalous at the asked rate of alarms.
///
/// Shadow onsets: for each of 64 candidate thresholds it counts the alarms that threshold would
/// have opened; from where those are plentiful it extrapolates down to the asked rate, and corrects
/// with the alarms that really were opened. See docs of the alarm budget for what is promised: over
/// ten budget units .5 to 1.5 times the asked rate; alarms (onsets), not readings; a target, not a
/// bound.
#pragma once

#include "shared/detect/feedback.hpp"

#include <array>
#include <cstdint>

namespace lapwing::detect {

/// Units: raw scores are >= 0, of the order of 1 for normal readings; times are counted in
/// readings. Threads: distinct objects are safe. Cost: 40 ns a reading, no allocation.
class Calibration {
 public:
  static constexpr int kHold = 32;  ///< readings at or below the threshold that end an alarm
  static constexpr float kScoreMax = 1000;  ///< scores are cut here

  /// `rows`: readings that only calibrate, [16, 100000].
  explicit Calibration(std::uint32_t rows) : rows_(rows) {}

  /// Alarms asked per reading, (0, .01]; may change as the stream's rate is learnt.
  void set_rate(double alarms_per_reading) noexcept;
  /// The score of the next reading; 0 until `ready()`. Above 1: anomalous.
  float push(float raw) noexcept;

  [[nodiscard]] bool ready() const noexcept { return ready_; }
  /// An alarm is open: some reading exceeded the threshold less than kHold readings ago.
  [[nodiscard]] bool open() const noexcept { return open_; }
  /// The raw score that would give the score 1 now.
  [[nodiscard]] float raw_threshold() const noexcept;
  /// A person's word on the newest alarm.
  void take(Feedback feedback) noexcept;
  /// Ends the open alarm and forgives it: what raised it is normal now.
  void accept() noexcept;

  template <class A>
  void fields(A& archive) {
    archive(rows_, alarm_rate_, anchor_rate_, growth_, exposure_, weight_, debt_, shadow_,
            quiet_since_);
    archive(table_floor_, log_unit_, excess_mean_, offset_, row_floor_, threshold_, solved_, tail_);
    archive(time_, scored_, buffered_, buffer_, ready_, open_, opened_at_, exceeded_at_);
    archive(opened_threshold_, peak_, alarms_, opened_weight_, counted_);
  }
  /// False when numbers read from a snapshot cannot be this object's.
  [[nodiscard]] bool plausible() const noexcept;

 private:
  static constexpr int kLevels = 64;
  static constexpr float kLevelStep = 0.08F;
  static constexpr int kBuffer = 128;

  void begin() noexcept;
  float step(float raw, bool calibrating) noexcept;
  void count_shadows(float level, float counted, float share, bool paused) noexcept;
  void solve() noexcept;
  void shift_table() noexcept;
  [[nodiscard]] float weight_of_alarm() noexcept;
  void close() noexcept;
  void rebase_time() noexcept;
  [[nodiscard]] float least() const noexcept;
  [[nodiscard]] double position(double count) const noexcept;

  std::uint32_t rows_;
  double alarm_rate_ = 1e-4;   ///< asked alarms a reading
  double anchor_rate_ = 4e-3;  ///< rate at which shadow onsets are plentiful
  double growth_ = 1.00004;    ///< weight of a reading over the one before: slow forgetting
  double exposure_ = 0;        ///< readings counted, in weights
  double weight_ = 1;
  double debt_ = 0;                      ///< alarms opened minus alarms asked for, clipped
  std::array<float, kLevels> shadow_{};  ///< onsets each level would have had
  std::array<std::int32_t, kLevels> quiet_since_{};  ///< last time the level was exceeded
  float table_floor_ = -0.5F;  ///< log level of entry 0, relative to log_unit_
  float log_unit_ = 0;         ///< ln of the 90 % quantile of raw scores at calibration
  float excess_mean_ = 0.3F;   ///< mean excess of the log score above it
  float offset_ = 0.01F;       ///< added to raw scores before the logarithm
  float row_floor_ = 0;        ///< about the 98 % quantile of readings: no threshold below it
  float threshold_ = 0;        ///< in force, log relative to log_unit_
  float solved_ = 0;           ///< extrapolated threshold before the feedback
  float tail_ = 0.2F;          ///< slope of the tail at the threshold
  std::int32_t time_ = 0;
  std::int64_t scored_ = 0;
  std::uint32_t buffered_ = 0;
  std::array<float, kBuffer> buffer_{};  ///< the first raw scores, until their quantile is known
  bool ready_ = false;
  bool open_ = false;
  std::int32_t opened_at_ = 0;
  std::int32_t exceeded_at_ = 0;
  float opened_threshold_ = 0;
  float peak_ = 0;
  float alarms_ = 0;         ///< opened lately; forgotten over the readings seen so far
  float opened_weight_ = 1;  ///< how much the newest alarm counts as a false one
  std::int8_t counted_ = 1;  ///< and as so many
};

}  // namespace lapwing::detect
