// SPDX-License-Identifier: Apache-2.0
/// One detector of a group and what turns its raw scores into anomalies: calibration, the course of
/// an anomaly, its explanation. A group has one in use, and may have another beside it.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/calibration.hpp"
#include "shared/detect/comparison.hpp"
#include "shared/detect/decision.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/episode.hpp"
#include "shared/detect/feedback.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/normal_scores.hpp"
#include "shared/detect/quality.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lapwing::detect {

/// The pipeline's word on one row.
struct GroupVerdict {
  float score = 0;      ///< above 1 where anomalous; else below, ranked as raw; 0 while warming up
  float raw = 0;        ///< the detector's own score
  bool scored = false;  ///< false while warming up, and for rows that came late or twice
  bool anomalous = false;  ///< the sensors together are: from a fault's first row to its last
  bool dropped = false;    ///< it came late or twice
};

/// A detector trained elsewhere, as a group takes it: it has no warm-up.
struct TrainedModel {
  std::string label;                           ///< what records call it: `pumps 7`
  std::unique_ptr<Detector> detector;          ///< Learning::trained, of the group's width
  std::shared_ptr<const NormalScores> normal;  ///< the threshold comes from them; not null
  std::uint64_t print = 0;  ///< of its file: what is kept of it is restored with the same one only
};

/// A row to score, after the checks of its sensors.
struct GroupRow {
  Time time{};
  std::span<const double> values;
  const Quality& clock;          ///< knows how often rows come
  std::uint64_t rows_total = 0;  ///< of the group, this one included
  bool explain = true;           ///< false: of a model's row only where it makes an anomaly's peak
};

/// Ownership: borrows the watch, which must outlive it. Threads: one at a time. Cost: no allocation
/// a row.
class GroupScorer {
 public:
  /// A detector that learns from the group's rows, or is trained on the first of them; `honest`:
  /// Kind::warmup_scores.
  GroupScorer(const WatchConfig& watch, std::unique_ptr<Detector> detector, bool honest);
  /// A model's. It keeps account of what it does (comparison()).
  GroupScorer(const WatchConfig& watch, TrainedModel model);

  /// Scores the row; writes the sensors' shares (GroupRow::explain). What `decision` makes of it is
  /// appended. A raw score that is no number counts, and the row is not scored.
  GroupVerdict push(const GroupRow& row, std::span<float> shares, Decision& decision,
                    std::uint64_t id_seed, std::vector<Event>& events);
  /// Whether the open anomaly has lasted for WatchConfig::accept_after.
  [[nodiscard]] bool lasting(const Decision& decision, Time time) const noexcept;
  void accept_new_normal(const Quality& clock) noexcept;
  void take(Feedback feedback) noexcept { state_.calibration.take(feedback); }
  /// As after construction, but for the detector, which is replaced by `detector` unless it is
  /// null.
  void begin_anew(std::unique_ptr<Detector> detector);

  [[nodiscard]] const Detector& detector() const noexcept { return *detector_; }
  [[nodiscard]] Detector& detector() noexcept { return *detector_; }
  /// Empty: not a model.
  [[nodiscard]] const std::string& label() const noexcept { return label_; }
  [[nodiscard]] bool is_model() const noexcept { return normal_ != nullptr; }
  [[nodiscard]] std::uint64_t print() const noexcept { return print_; }
  /// What the model did; null where it is none.
  [[nodiscard]] Comparison* comparison() noexcept { return comparison_.get(); }
  [[nodiscard]] const Comparison* comparison() const noexcept { return comparison_.get(); }
  /// Of a model: its account begins anew.
  void begin_account() noexcept { *comparison_ = Comparison(normal_); }
  [[nodiscard]] bool warm() const noexcept { return state_.calibration.ready(); }
  [[nodiscard]] float last_score() const noexcept { return state_.last_score; }
  [[nodiscard]] bool inside() const noexcept { return state_.episode.inside(); }
  /// Of the open anomaly, at its peak, the largest shares first.
  [[nodiscard]] std::span<const Part> parts() const noexcept {
    return std::span(state_.parts.list).first(state_.parts.count);
  }
  [[nodiscard]] std::size_t state_bytes() const noexcept;

  template <class A>
  void fields(A& archive) {
    state_.fields(archive);
  }
  /// False when numbers read from a snapshot cannot be this object's.
  [[nodiscard]] bool plausible(std::size_t sensors) const noexcept;

 private:
  struct Parts {
    std::array<Part, GroupEvent::kParts> list{};
    std::uint32_t count = 0;

    template <class A>
    void fields(A& archive) {
      for (Part& part : list) archive(part.sensor, part.share);
      archive(count);
    }
  };
  struct State {
    State(const WatchConfig& watch, bool honest);

    Calibration calibration;
    std::vector<float> first;      ///< scores that calibrate, of kinds without honest ones
    std::uint64_t first_seen = 0;  ///< of them
    Episode episode;
    Parts parts;
    double peak = 0;
    float unit = 1;   ///< raw score that is raised to 1
    float power = 1;  ///< see kSpread
    float rare = 0;   ///< raw score that is shown as 1: the first threshold; 0: none yet
    float last_score = 0;

    template <class A>
    void fields(A& archive) {
      archive(calibration, first, first_seen, episode, parts, peak, unit, power, rare, last_score);
    }
    [[nodiscard]] float raised(float raw) const noexcept;
    /// The threshold in force, as a raw score.
    [[nodiscard]] float threshold() const noexcept;
  };

  void judge(float raw, const GroupRow& row, std::span<float> shares, Decision& decision,
             std::uint64_t id_seed, GroupVerdict& verdict, std::vector<Event>& events);
  Result<void> score(const GroupRow& row, float& raw, std::span<float> shares);
  void calibrate_on_normal();
  void calibrate_on(std::span<const float> scores, const Quality* clock) noexcept;
  void set_rate(const Quality& clock) noexcept;
  static Parts largest(std::span<const float> shares);

  const WatchConfig* watch_;
  bool honest_;
  std::unique_ptr<Detector> detector_;
  State state_;
  std::vector<float> sorted_;
  std::uint64_t rows_ = 0;  ///< since construction

  // Of a model.
  std::string label_;
  std::shared_ptr<const NormalScores> normal_;
  std::uint64_t print_ = 0;
  std::unique_ptr<Comparison> comparison_;
};

/// Rows of the warm-up that a kind's detector takes; the rest calibrates.
[[nodiscard]] std::uint32_t detector_rows(const WatchConfig& watch, bool honest);

}  // namespace lapwing::detect
