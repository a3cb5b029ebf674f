// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/group_pipeline.hpp"

#include "shared/detect/decision.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/quality.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/detect/trained_on_warmup.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <limits>

namespace lapwing::detect {
namespace {

using wire::Reason;

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kModelVersion = 1;
constexpr std::size_t kSnapshotBytesMax = std::size_t{256} << 20;

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

bool opens(std::span<const Event> events) {
  return std::ranges::any_of(events, [](const Event& event) {
    return event.phase == wire::Phase::opened && event.reason == Reason::unusual;
  });
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
  explicit State(std::size_t sensors) : qualities(sensors), decisions(sensors) {}

  Quality clock;  ///< of the rows
  std::vector<Quality> qualities;
  std::vector<Decision> decisions;  ///< of the sensors
  Decision decision;                ///< of the group
  Decision shadow;                  ///< of what scores beside
  bool resumed = false;             ///< restored, and no clock seen since
  bool orphaned = false;            ///< an anomaly is open that nothing here found
  Time pushed_at{};  ///< wall clock at the newest row, or at the first tick after a restore
  std::uint64_t rows_total = 0;
  std::uint64_t dropped_total = 0;

  /// What does not depend on the detector.
  template <class A>
  void rows(A& archive) {
    archive(clock, qualities, decisions, decision);
  }
  template <class A>
  void totals(A& archive) {
    archive(rows_total, dropped_total);
  }
  [[nodiscard]] bool plausible() const noexcept {
    const auto sound = [](const Decision& one) { return one.plausible(); };
    return decision.plausible() && std::ranges::all_of(decisions, sound);
  }
};

Result<std::unique_ptr<GroupScorer>> GroupPipeline::make_scorer(const GroupConfig& group,
                                                                std::size_t sensors) {
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
  return std::make_unique<GroupScorer>(watch, *std::move(detector), kind->warmup_scores);
}

Result<std::unique_ptr<GroupPipeline>> GroupPipeline::make(const GroupConfig& group,
                                                           std::size_t sensors,
                                                           std::uint64_t id_seed) {
  auto scorer = make_scorer(group, sensors);
  if (!scorer) return std::move(scorer).error();
  return make(group, sensors, id_seed, *std::move(scorer));
}

std::unique_ptr<GroupPipeline> GroupPipeline::make(const GroupConfig& group, std::size_t sensors,
                                                   std::uint64_t id_seed,
                                                   std::unique_ptr<GroupScorer> scorer) {
  return std::unique_ptr<GroupPipeline>(
      new GroupPipeline(group, sensors, id_seed, std::move(scorer)));
}

std::unique_ptr<GroupPipeline> GroupPipeline::make(const GroupConfig& group, std::size_t sensors,
                                                   std::uint64_t id_seed, TrainedModel trained) {
  return make(group, sensors, id_seed,
              std::make_unique<GroupScorer>(group.watch, std::move(trained)));
}

GroupPipeline::GroupPipeline(const GroupConfig& group, std::size_t sensors, std::uint64_t id_seed,
                             std::unique_ptr<GroupScorer> scorer)
    : group_(&group),
      id_seed_(id_seed),
      scorer_(std::move(scorer)),
      state_(std::make_unique<State>(sensors)),
      row_(sensors),
      checked_(sensors),
      seen_before_(sensors),
      shares_(sensors),
      shadow_shares_(sensors) {
  scratch_.reserve(Decision::kReasons * 2);
  shadow_scratch_.reserve(Decision::kReasons * 2);
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
  if (s.orphaned) end_anomaly(events);
  s.pushed_at = now;
  ++s.rows_total;
  const Time row_before = s.clock.last_time();
  const Checked checked = s.clock.check(time, 0, now, kRows);
  if (checked.dropped) {
    ++s.dropped_total;
    return {.score = scorer_->last_score(), .anomalous = scorer_->inside(), .dropped = true};
  }
  check_hole(checked.time, row_before, row, events);
  check_sensors(checked.time, row, events);
  return score(checked.time, events);
}

GroupVerdict GroupPipeline::score(Time time, std::vector<GroupEvent>& events) {
  State& s = *state_;
  const GroupRow row{.time = time,
                     .values = row_,
                     .clock = s.clock,
                     .rows_total = s.rows_total,
                     .explain = explain_};
  Comparison* const account = scorer_->comparison();
  const bool timed = account != nullptr || shadow_ != nullptr;
  const auto begun =
      timed ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  const GroupVerdict verdict = scorer_->push(row, shares_, s.decision, id_seed_, scratch_);
  if (timed) {
    const RowOutcome outcome{.raw = verdict.raw,
                             .scored = verdict.scored,
                             .anomalous = verdict.anomalous,
                             .opened = opens(scratch_),
                             .seconds = seconds_since(begun)};
    if (account != nullptr) account->row(outcome, nullptr);
    if (shadow_ != nullptr) score_shadow(row, outcome);
  }
  accept_if_lasting(time, events);
  if (!scratch_.empty()) report(GroupEvent::kGroup, events);
  return verdict;
}

/// Nothing of it gets out but its account.
void GroupPipeline::score_shadow(const GroupRow& row, const RowOutcome& active) {
  State& s = *state_;
  const auto begun = std::chrono::steady_clock::now();
  const GroupVerdict verdict =
      shadow_->push(row, shadow_shares_, s.shadow, id_seed_, shadow_scratch_);
  const RowOutcome outcome{.raw = verdict.raw,
                           .scored = verdict.scored,
                           .anomalous = verdict.anomalous,
                           .opened = opens(shadow_scratch_),
                           .seconds = seconds_since(begun)};
  if (Comparison* account = shadow_->comparison()) account->row(outcome, &active);
  if (shadow_->lasting(s.shadow, row.time)) {
    s.shadow.close(Reason::unusual, row.time, shadow_scratch_);
    shadow_->accept_new_normal(s.clock);
  }
  shadow_scratch_.clear();
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
      const bool shown = !checked.withheld || scorer_->detector().warm();
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

/// Hands the decisions' events over as those of `sensor`.
void GroupPipeline::report(std::int32_t sensor, std::vector<GroupEvent>& events) {
  for (const Event& event : scratch_) {
    GroupEvent out{.event = event, .sensor = sensor};
    if (sensor == GroupEvent::kGroup) {
      const auto parts = scorer_->parts();
      std::ranges::copy(parts, out.parts.begin());
      out.parts_count = parts.size();
    }
    events.push_back(out);
  }
  scratch_.clear();
}

/// What has lasted for WatchConfig::accept_after is the new normal.
void GroupPipeline::accept_if_lasting(Time time, std::vector<GroupEvent>& events) {
  Decision& decision = state_->decision;
  if (!scorer_->lasting(decision, time)) return;
  decision.close(Reason::unusual, time, scratch_);
  report(GroupEvent::kGroup, events);
  accept_new_normal();
}

void GroupPipeline::end_anomaly(std::vector<GroupEvent>& events) {
  state_->orphaned = false;
  state_->decision.close(Reason::unusual, state_->clock.last_time(), scratch_);
  report(GroupEvent::kGroup, events);
}

std::unique_ptr<GroupScorer> GroupPipeline::exchange(std::unique_ptr<GroupScorer> scorer) noexcept {
  scorer_.swap(scorer);
  return scorer;
}

std::unique_ptr<GroupScorer> GroupPipeline::exchange_shadow(
    std::unique_ptr<GroupScorer> shadow) noexcept {
  shadow_.swap(shadow);
  state_->shadow = {};
  return shadow;
}

void GroupPipeline::take(Feedback feedback, std::vector<GroupEvent>& events) {
  State& s = *state_;
  scorer_->take(feedback);
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
  State& s = *state_;
  scorer_->accept_new_normal(s.clock);
  for (Quality& quality : s.qualities) quality.accept_run();
}

void GroupPipeline::tick(Time now, std::vector<GroupEvent>& events) {
  State& s = *state_;
  if (s.orphaned) end_anomaly(events);
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
                 .last_score = scorer_->last_score(),
                 .warm = scorer_->warm(),
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
  return sizeof(*this) + sizeof(State) + scorer_->state_bytes() +
         (shadow_ ? shadow_->state_bytes() : 0) +
         row_.size() * (sizeof(Quality) + sizeof(Decision) + sizeof(double) + 2 * sizeof(float) +
                        sizeof(Checked) + sizeof(Time));
}

/// Of the detector: its own, or the model's.
std::uint64_t GroupPipeline::tag() const noexcept {
  const WatchConfig& watch = group_->watch;
  if (scorer_->is_model()) return frame_tag("group_model", kModelVersion, scorer_->print());
  return frame_tag("group", kVersion, frame_tag(watch.detector, watch.warmup, row_.size()));
}

std::uint64_t GroupPipeline::rows_tag() const noexcept {
  return frame_tag("group_rows", kModelVersion, row_.size());
}

/// Of a detector one frame; of a model two, so that what it knows can be left out.
void GroupPipeline::snapshot(std::vector<std::byte>& out) const {
  State& s = *state_;  // read only: fields() takes a writer
  StateWriter writer(out);
  if (scorer_->is_model()) {
    const std::size_t rows = begin_frame(out, rows_tag());
    s.rows(writer);
    s.totals(writer);
    end_frame(out, rows);
    const std::size_t model = begin_frame(out, tag());
    scorer_->fields(writer);
    end_frame(out, model);
    return;
  }
  const std::size_t begun = begin_frame(out, tag());
  s.rows(writer);
  scorer_->fields(writer);
  s.totals(writer);
  scorer_->detector().snapshot(out);
  end_frame(out, begun);
}

Result<void> GroupPipeline::restore(std::span<const std::byte> bytes) {
  const std::size_t sensors = row_.size();
  state_ = std::make_unique<State>(sensors);
  if (bytes.size() > kSnapshotBytesMax) {
    scorer_->begin_anew(nullptr);
    return Error{Errc::corrupt, "group snapshot is too long"};
  }
  if (scorer_->is_model()) return restore_model(bytes);
  const auto anew = [&](Error why) -> Error {  // whatever was taken before the fault goes too
    auto made = make_scorer(*group_, sensors);
    assert(made);
    scorer_ = *std::move(made);
    state_ = std::make_unique<State>(sensors);
    return why;
  };
  auto rest = bytes;
  const auto content = open_frame(rest, tag());
  if (!content) {
    auto why = anew(content.error());
    if (restore_rows(bytes)) why.context += "; its sensors go on";
    return why;
  }
  StateReader reader(*content);
  state_->rows(reader);
  scorer_->fields(reader);
  state_->totals(reader);
  if (!reader.ok() || !rest.empty() || !state_->plausible() || !scorer_->plausible(sensors)) {
    return anew({Errc::corrupt, "group snapshot holds impossible values"});
  }
  if (auto done = scorer_->detector().restore(reader.rest()); !done) return anew(done.error());
  state_->resumed = true;
  return {};
}

/// The sensors' state out of a snapshot whose detector was another: a model's, or the group's own.
bool GroupPipeline::restore_rows(std::span<const std::byte> bytes) {
  const WatchConfig& watch = group_->watch;
  const auto own =
      frame_tag("group", kVersion, frame_tag(watch.detector, watch.warmup, row_.size()));
  auto rest = bytes;
  auto content = open_frame(rest, rows_tag());
  const bool of_model = content.has_value();
  if (!of_model) {
    rest = bytes;
    content = open_frame(rest, own);
  }
  if (!content) return false;
  auto state = std::make_unique<State>(row_.size());
  StateReader reader(*content);
  state->rows(reader);
  if (of_model) state->totals(reader);
  if (!reader.ok() || !state->plausible()) return false;
  if (!of_model) state->rows_total = 1;  // some: outages are told from rows on
  state->resumed = true;
  state->orphaned = true;
  state_ = std::move(state);
  return true;
}

Result<void> GroupPipeline::restore_model(std::span<const std::byte> bytes) {
  scorer_->begin_anew(nullptr);
  auto rest = bytes;
  if (!restore_rows(bytes)) {
    return Error{Errc::unsupported, "group snapshot of another version, width or detector"};
  }
  if (!open_frame(rest, rows_tag())) {
    return Error{Errc::unsupported, "group snapshot of another detector; its sensors go on"};
  }
  const auto content = open_frame(rest, tag());
  if (!content) return within("its sensors go on", content.error());
  StateReader reader(*content);
  scorer_->fields(reader);
  if (!reader.ok() || !reader.rest().empty() || !rest.empty() || !scorer_->plausible(row_.size())) {
    scorer_->begin_anew(nullptr);
    return Error{Errc::corrupt, "group snapshot holds impossible values; its sensors go on"};
  }
  state_->orphaned = false;
  return {};
}

}  // namespace lapwing::detect
