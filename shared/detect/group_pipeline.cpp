// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/group_pipeline.hpp"

#include "shared/detect/calibration.hpp"
#include "shared/detect/decision.hpp"
#include "shared/detect/episode.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/quality.hpp"
#include "shared/detect/shown_score.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/detect/trained_on_warmup.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

namespace lapwing::detect {
namespace {

using wire::Reason;

constexpr std::uint32_t kVersion = 3;
constexpr double kDetectorShare = 0.6;  // of the warm-up, for kinds without honest scores
constexpr std::uint32_t kCalibrationMin = 16;
constexpr std::uint64_t kRateEvery = 64;  // rows
constexpr std::uint64_t kAcceptRows = 64;
constexpr std::size_t kSnapshotBytesMax = std::size_t{256} << 20;
// Calibration extrapolates from where scores are plentiful with a tail that suits single readings.
// Kinds whose score is a mean over rows have a shorter one: scores are raised to the power that
// makes their spread this, ln(99 % quantile / median) / ln(50), and back.
constexpr double kSpread = 0.15;
constexpr double kPowerMin = 1;
constexpr double kPowerMax = 8;
constexpr float kRaisedMax = 1e30F;
constexpr float kStrengthMax = 1e6F;

std::uint32_t detector_rows(const WatchConfig& watch, bool honest) {
  if (honest) return watch.warmup;
  return std::max<std::uint32_t>(24, static_cast<std::uint32_t>(kDetectorShare * watch.warmup));
}
std::uint32_t calibration_rows(const WatchConfig& watch, bool honest) {
  const std::uint32_t rows = detector_rows(watch, honest);
  return std::max(kCalibrationMin, watch.warmup > rows ? watch.warmup - rows : 0);
}

struct Parts {
  std::array<Part, GroupEvent::kParts> list{};
  std::uint32_t count = 0;

  template <class A>
  void fields(A& archive) {
    for (Part& part : list) archive(part.sensor, part.share);
    archive(count);
  }
};

/// The largest shares first.
Parts largest(std::span<const float> shares) {
  Parts parts;
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (shares[c] <= 0) continue;
    std::size_t at = parts.count;
    while (at > 0 && parts.list[at - 1].share < shares[c]) --at;
    if (at == parts.list.size()) continue;
    parts.count = std::min<std::uint32_t>(parts.count + 1, GroupEvent::kParts);
    for (std::size_t i = parts.count - 1; i > at; --i) parts.list[i] = parts.list[i - 1];
    parts.list[at] = {static_cast<std::uint16_t>(c), shares[c]};
  }
  return parts;
}

/// What a check of the readings found.
Finding finding(const Complaint& complaint, Time onset, Time at, double value = wire::kUnknown) {
  return {.reason = complaint.reason,
          .onset = onset,
          .time = at,
          .score = complaint.score,
          .value = value,
          .detail = complaint.detail};
}

/// The rows' own times pass the clock checks of a stream that has nothing else to check.
const WatchConfig kRows = [] {
  WatchConfig watch;
  watch.stuck_check = false;
  watch.gap_check = false;
  return watch;
}();

}  // namespace

struct GroupPipeline::State {
  State(const WatchConfig& watch, std::size_t sensors, bool honest)
      : qualities(sensors),
        decisions(sensors),
        calibration(calibration_rows(watch, honest)),
        first(honest ? 0 : calibration_rows(watch, honest)) {}

  Quality clock;  ///< of the rows
  std::vector<Quality> qualities;
  std::vector<Decision> decisions;  ///< of the sensors
  Decision decision;                ///< of the group
  Calibration calibration;
  std::vector<float> first;      ///< scores that calibrate, of kinds without honest ones
  std::uint64_t first_seen = 0;  ///< of them
  Episode episode;
  Parts parts;  ///< at the peak of the open anomaly
  double peak = 0;
  float unit = 1;   ///< raw score that is raised to 1
  float power = 1;  ///< see kSpread
  float rare = 0;   ///< raw score that is shown as 1: the first threshold; 0: none yet
  float last_score = 0;
  bool resumed = false;  ///< restored, and no clock seen since
  Time pushed_at{};      ///< wall clock at the newest row, or at the first tick after a restore
  std::uint64_t rows_total = 0;
  std::uint64_t dropped_total = 0;

  template <class A>
  void fields(A& archive) {
    archive(clock, qualities, decisions, decision, calibration, first, first_seen, episode, parts);
    archive(peak, unit, power, rare, last_score, rows_total, dropped_total);
  }
  [[nodiscard]] float raised(float raw) const noexcept {
    return std::min(std::pow(raw / unit, power), kRaisedMax);
  }
  /// The threshold in force, as a raw score.
  [[nodiscard]] float threshold() const noexcept {
    return unit * std::pow(std::max(calibration.raw_threshold(), 1e-12F), 1 / power);
  }
  [[nodiscard]] bool plausible(std::size_t sensors) const noexcept {
    const auto placed = [sensors](const Part& part) { return part.sensor < sensors; };
    const auto sound = [](const Decision& one) { return one.plausible(); };
    return calibration.plausible() && first_seen <= first.size() && decision.plausible() &&
           episode.plausible() && std::ranges::all_of(decisions, sound) &&
           parts.count <= GroupEvent::kParts && std::ranges::all_of(parts.list, placed) &&
           std::isfinite(unit) && unit > 0 && std::isfinite(rare) && rare >= 0 &&
           power >= static_cast<float>(kPowerMin) && power <= static_cast<float>(kPowerMax);
  }
};

Result<std::unique_ptr<GroupPipeline>> GroupPipeline::make(const GroupConfig& group,
                                                           std::size_t sensors,
                                                           std::uint64_t id_seed) {
  const WatchConfig& watch = group.watch;
  const Kind* kind = find_live_kind(watch.detector, Input::group);
  if (kind == nullptr) {
    return Error{Errc::bad_config,
                 "group " + watch.name + ": no detector \"" + watch.detector + "\" for groups"};
  }
  const Settings settings{.width = sensors,
                          .warmup = detector_rows(watch, kind->warmup_scores),
                          .season = watch.season,
                          .parameters = watch.parameters};
  auto detector = make_live(*kind, settings);
  if (!detector) return within("group " + watch.name, detector.error());
  return std::unique_ptr<GroupPipeline>(
      new GroupPipeline(group, sensors, id_seed, std::move(*detector), kind->warmup_scores));
}

GroupPipeline::GroupPipeline(const GroupConfig& group, std::size_t sensors, std::uint64_t id_seed,
                             std::unique_ptr<Detector> detector, bool honest)
    : group_(&group),
      id_seed_(id_seed),
      honest_(honest),
      detector_(std::move(detector)),
      state_(std::make_unique<State>(group.watch, sensors, honest)),
      row_(sensors),
      checked_(sensors),
      seen_before_(sensors),
      shares_(sensors),
      sorted_(group.watch.warmup) {
  scratch_.reserve(Decision::kReasons * 2);
}

GroupPipeline::~GroupPipeline() = default;

GroupVerdict GroupPipeline::push(Time time, std::span<const double> row, Time now,
                                 std::vector<GroupEvent>& events) {
  assert(row.size() == row_.size());
  State& s = *state_;
  if (s.resumed) {  // the process was down itself, which is no outage of its sensors
    for (Quality& quality : s.qualities) quality.resumed(time);
    s.clock.resumed(now);
    s.resumed = false;
  }
  s.pushed_at = now;
  ++s.rows_total;
  const Time row_before = s.clock.last_time();
  const Checked checked = s.clock.check(time, 0, now, kRows);
  if (checked.dropped) {
    ++s.dropped_total;
    return {.score = s.last_score, .anomalous = s.episode.inside()};
  }
  check_hole(checked.time, row_before, row, events);
  check_sensors(checked.time, row, events);

  float raw = 0;
  const bool warm_before = detector_->warm();
  const auto done =
      detector_->score({.values = row_, .times = std::span(&checked.time, 1), .width = row_.size()},
                       {.raw = std::span(&raw, 1), .contributions = shares_});
  assert(done);
  (void)done;
  GroupVerdict verdict;
  verdict.raw = raw;
  if (warm_before) {
    judge(raw, checked.time, verdict, events);
  } else if (detector_->warm() && honest_) {
    calibrate_on(detector_->warmup_scores());
  }
  s.last_score = verdict.score;
  return verdict;
}

/// Each reading's checks. Where all that were in the row before were silent since, the outage is
/// the group's: one anomaly, and none of each sensor.
void GroupPipeline::check_hole(Time time, Time row_before, std::span<const double> row,
                               std::vector<GroupEvent>& events) {
  State& s = *state_;
  std::size_t there = 0;
  std::size_t silent = 0;
  Complaint longest{.reason = Reason::gap};
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (std::isnan(row[c])) continue;
    Quality& quality = s.qualities[c];
    seen_before_[c] = quality.last_time();
    checked_[c] = quality.check(time, row[c], time, group_->watch);
    if (seen_before_[c] != row_before) continue;
    ++there;
    if (!checked_[c].gap) continue;
    ++silent;
    if (checked_[c].gap->score > longest.score) longest = *checked_[c].gap;
  }
  if (silent >= GroupConfig::kSensorsMin && silent == there) {
    s.decision.found(finding(longest, row_before, time), id_seed_, scratch_);
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (!std::isnan(row[c]) && seen_before_[c] == row_before) checked_[c].gap.reset();
    }
  }
  s.decision.close(Reason::gap, time, scratch_);
  if (!scratch_.empty()) report(GroupEvent::kGroup, events);
}

/// What the checks of every sensor say; fills row_ with what they let pass.
void GroupPipeline::check_sensors(Time time, std::span<const double> row,
                                  std::vector<GroupEvent>& events) {
  State& s = *state_;
  for (std::size_t c = 0; c < row.size(); ++c) {
    Quality& quality = s.qualities[c];
    Decision& decision = s.decisions[c];
    row_[c] = std::numeric_limits<double>::quiet_NaN();
    const auto complain = [&](const Complaint& complaint, Time onset, Time at) {
      decision.found(finding(complaint, onset, at, row[c]), id_seed_ + 1 + c, scratch_);
    };
    if (std::isnan(row[c])) {
      // By the rows' own time: it is what passes when recorded rows are replayed.
      if (const auto silence =
              quality.silence(std::max(time, quality.last_time()), group_->watch)) {
        complain(*silence, quality.last_time(), time);
      }
    } else {
      const Checked& checked = checked_[c];
      if (checked.gap) complain(*checked.gap, seen_before_[c], checked.time);
      decision.close(Reason::gap, checked.time, scratch_);
      // What is plainly wrong is not learnt; a trained model is shown it, and says so too.
      const bool shown = !checked.withheld || detector_->warm();
      if (!checked.missing && !checked.dropped && shown) row_[c] = row[c];
      if (checked.complaint) {
        const bool stuck = checked.complaint->reason == Reason::stuck;
        complain(*checked.complaint, stuck ? checked.stuck_since : checked.time, checked.time);
      }
      decision.passed(checked.time, group_->watch.hold, false, scratch_);
    }
    if (!scratch_.empty()) report(static_cast<std::int32_t>(c), events);
  }
}

void GroupPipeline::judge(float raw, Time time, GroupVerdict& verdict,
                          std::vector<GroupEvent>& events) {
  State& s = *state_;
  if (s.rows_total % kRateEvery == 0 || !s.calibration.ready()) {
    const double per_week = s.clock.readings_per_week();
    if (per_week > 0) s.calibration.set_rate(group_->watch.alarms_per_week / per_week);
  }
  if (s.first_seen < s.first.size()) {
    s.first[s.first_seen] = raw;
    if (++s.first_seen == s.first.size()) calibrate_on(s.first);
    return;
  }
  verdict.scored = s.calibration.ready();
  s.calibration.push(s.raised(raw));
  if (!verdict.scored) return;
  const float threshold = s.threshold();
  if (s.rare <= 0) s.rare = threshold;
  // Anomalous by the threshold in force; shown in units that stay, so that rows compare.
  const float strength = std::min(raw / threshold, kStrengthMax);
  verdict.anomalous = s.episode.push(strength);
  verdict.score = shown_score(std::min(raw / s.rare, kStrengthMax), verdict.anomalous);
  if (verdict.anomalous) {
    verdict.score = std::max(verdict.score, kAlarmScore);
    const auto score = static_cast<double>(strength);
    if (!s.decision.open(Reason::unusual) || score > s.peak) {
      s.peak = score;
      s.parts = largest(shares_);
    }
    s.decision.found({.reason = Reason::unusual,
                      .cause = Cause::pattern,
                      .onset = time,
                      .time = time,
                      .score = std::max(1.0, score)},
                     id_seed_, scratch_);
  }
  s.decision.passed(time, group_->watch.hold, false, scratch_);
  accept_if_lasting(time, events);
  if (!scratch_.empty()) report(GroupEvent::kGroup, events);
}

/// Scores of rows that were not learnt give the unit, the spread and the first threshold.
void GroupPipeline::calibrate_on(std::span<const float> scores) noexcept {
  State& s = *state_;
  const std::size_t count = std::min(scores.size(), sorted_.size());
  if (count < kCalibrationMin) return;  // the rows to come calibrate
  const std::span sorted(sorted_.data(), count);
  std::copy_n(scores.end() - static_cast<std::ptrdiff_t>(count), count, sorted.begin());
  std::ranges::sort(sorted);
  const auto quantile = [&](double q) {
    return std::max(1e-6F, sorted[static_cast<std::size_t>(q * static_cast<double>(count - 1))]);
  };
  s.unit = quantile(0.99);
  const double spread = std::log(static_cast<double>(s.unit / quantile(0.5))) / std::log(50.0);
  s.power = static_cast<float>(std::clamp(kSpread / std::max(spread, 1e-6), kPowerMin, kPowerMax));
  s.calibration = Calibration(static_cast<std::uint32_t>(count));
  const double per_week = s.clock.readings_per_week();
  if (per_week > 0) s.calibration.set_rate(group_->watch.alarms_per_week / per_week);
  for (const float one : scores.last(count)) s.calibration.push(s.raised(one));
}

/// Hands the decisions' events over as those of `sensor`.
void GroupPipeline::report(std::int32_t sensor, std::vector<GroupEvent>& events) {
  for (const Event& event : scratch_) {
    GroupEvent out{.event = event, .sensor = sensor};
    if (sensor == GroupEvent::kGroup) {
      out.parts = state_->parts.list;
      out.parts_count = state_->parts.count;
    }
    events.push_back(out);
  }
  scratch_.clear();
}

/// What has lasted for WatchConfig::accept_after is the new normal.
void GroupPipeline::accept_if_lasting(Time time, std::vector<GroupEvent>& events) {
  Decision& decision = state_->decision;
  const bool lasting = decision.open(Reason::unusual) &&
                       time - decision.onset(Reason::unusual) >= group_->watch.accept_after &&
                       decision.readings_open(Reason::unusual) >= kAcceptRows;
  if (!lasting) return;
  decision.close(Reason::unusual, time, scratch_);
  report(GroupEvent::kGroup, events);
  accept_new_normal();
}

void GroupPipeline::take(Feedback feedback, std::vector<GroupEvent>& events) {
  State& s = *state_;
  s.calibration.take(feedback);
  if (feedback != Feedback::new_normal) return;
  accept_new_normal();
  s.decision.close(Reason::unusual, s.clock.last_time(), scratch_);
  report(GroupEvent::kGroup, events);
  for (std::size_t c = 0; c < s.decisions.size(); ++c) {
    s.decisions[c].close(Reason::stuck, s.qualities[c].last_time(), scratch_);
    report(static_cast<std::int32_t>(c), events);
  }
}

void GroupPipeline::accept_new_normal() noexcept {
  detector_->accept_new_normal();
  State& s = *state_;
  s.episode = {};
  s.rare = 0;
  s.calibration.accept();
  if (detector_->warm() && honest_) calibrate_on(detector_->warmup_scores());
  for (Quality& quality : s.qualities) quality.accept_run();
}

void GroupPipeline::tick(Time now, std::vector<GroupEvent>& events) {
  State& s = *state_;
  if (s.rows_total == 0) return;
  if (s.pushed_at == Time{}) s.pushed_at = now;  // restored: the process was down itself
  // Sensors' clocks need not be the wall clock, and a row may have been waited for.
  const Time last_row = s.clock.last_time();
  const Time at = last_row + std::max(Micros(0), now - s.pushed_at - group_->wait);
  const auto in_last_row = [&](const Quality& quality) {
    return quality.any() && quality.last_time() == last_row;
  };
  const auto together = std::ranges::count_if(s.qualities, in_last_row);
  const bool hole = together >= static_cast<std::ptrdiff_t>(GroupConfig::kSensorsMin);
  std::ptrdiff_t silent = 0;
  Complaint longest{.reason = Reason::gap};
  for (std::size_t c = 0; c < s.qualities.size(); ++c) {
    const auto silence = s.qualities[c].silence(at, group_->watch);
    if (!silence) continue;
    if (hole && in_last_row(s.qualities[c])) {  // an outage of the group, when all are silent
      ++silent;
      if (silence->score > longest.score) longest = *silence;
      continue;
    }
    const Time last = s.qualities[c].last_time();
    s.decisions[c].found(finding(*silence, last, at), id_seed_ + 1 + c, scratch_);
    if (!scratch_.empty()) report(static_cast<std::int32_t>(c), events);
  }
  if (!hole || silent < together) return;
  s.decision.found(finding(longest, last_row, at), id_seed_, scratch_);
  if (!scratch_.empty()) report(GroupEvent::kGroup, events);
}

void GroupPipeline::finish(std::vector<GroupEvent>& events) {
  State& s = *state_;
  for (std::size_t c = 0; c < s.decisions.size(); ++c) {
    s.decisions[c].close_all(scratch_);
    report(static_cast<std::int32_t>(c), events);
  }
  s.decision.close_all(scratch_);
  report(GroupEvent::kGroup, events);
}

GroupState GroupPipeline::state() const noexcept {
  const State& s = *state_;
  GroupState out{.last_time = s.clock.last_time(),
                 .last_score = s.last_score,
                 .warm = s.calibration.ready(),
                 .anomalies_open = s.decision.open_count(),
                 .rows_total = s.rows_total,
                 .dropped_total = s.dropped_total};
  for (const Decision& one : s.decisions) out.anomalies_open += one.open_count();
  return out;
}

std::uint32_t GroupPipeline::anomalies_open(std::size_t sensor) const noexcept {
  return state_->decisions[sensor].open_count();
}

std::size_t GroupPipeline::state_bytes() const noexcept {
  return sizeof(*this) + sizeof(State) + detector_->state_bytes() +
         row_.size() * (sizeof(Quality) + sizeof(Decision) + sizeof(double) + sizeof(float) +
                        sizeof(Checked) + sizeof(Time)) +
         sorted_.size() * sizeof(float);
}

std::uint64_t GroupPipeline::tag() const noexcept {
  const WatchConfig& watch = group_->watch;
  return frame_tag("group", kVersion, frame_tag(watch.detector, watch.warmup, row_.size()));
}

void GroupPipeline::snapshot(std::vector<std::byte>& out) const {
  const std::size_t begun = begin_frame(out, tag());
  StateWriter writer(out);
  writer(*state_);
  detector_->snapshot(out);
  end_frame(out, begun);
}

Result<void> GroupPipeline::restore(std::span<const std::byte> bytes) {
  const std::size_t sensors = row_.size();
  const auto fresh = [&] { return std::make_unique<State>(group_->watch, sensors, honest_); };
  const auto anew = [&](Error why) -> Error {  // whatever was taken before the fault goes too
    auto made = make(*group_, sensors, id_seed_);
    assert(made);
    detector_ = std::move((*made)->detector_);
    state_ = fresh();
    return why;
  };
  if (bytes.size() > kSnapshotBytesMax) return anew({Errc::corrupt, "group snapshot is too long"});
  auto content = open_frame(bytes, tag());
  if (!content) return anew(content.error());
  state_ = fresh();
  StateReader reader(*content);
  reader(*state_);
  if (!reader.ok() || !bytes.empty() || !state_->plausible(sensors)) {
    return anew({Errc::corrupt, "group snapshot holds impossible values"});
  }
  if (auto done = detector_->restore(reader.rest()); !done) return anew(done.error());
  state_->resumed = true;
  return {};
}

}  // namespace lapwing::detect
