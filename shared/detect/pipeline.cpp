// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/pipeline.hpp"

#include "shared/detect/alarm_budget.hpp"
#include "shared/detect/calibration.hpp"
#include "shared/detect/decision.hpp"
#include "shared/detect/kinds.hpp"
#include "shared/detect/quality.hpp"
#include "shared/detect/shown_score.hpp"
#include "shared/detect/snapshot.hpp"
#include "shared/detect/summary.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <string>

namespace lapwing::detect {
namespace {

using wire::Reason;

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kTaughtVersion = 4;  // as 3, and the prior that others have taught
/// Of the warm-up, the detector learns from the first 60 %; the rest calibrates its scores.
constexpr double kDetectorShare = 0.6;
constexpr std::uint64_t kRateEvery = 64;  // readings between two looks at the stream's rate
constexpr std::uint64_t kAcceptReadings = 64;
constexpr float kAcceptShare = 0.2F;  // of the last readings anomalous: a state, not a few events
constexpr float kSharePace = 1.0F / 64;
constexpr std::uint32_t kRelearnReadings = 64;  // not scored after a new normal was accepted
constexpr std::uint32_t kLearnAgain =
    8;  // good readings until an open anomaly no longer stops learning
constexpr float kUncalibratedBand = 6;
constexpr float kRareRaw = 4;  // raw score of kinds with evidence that stands for a score of 1
constexpr std::uint32_t kFaultQuiet = 32;          // readings without a departure end a fault
constexpr std::size_t kSnapshotSlack = 64 * 1024;  // much longer than the state is no snapshot

std::uint32_t detector_rows(const WatchConfig& watch) {
  return std::max<std::uint32_t>(24, static_cast<std::uint32_t>(kDetectorShare * watch.warmup));
}
std::uint32_t calibration_rows(const WatchConfig& watch) {
  const std::uint32_t rows = detector_rows(watch);
  return std::max<std::uint32_t>(16, watch.warmup > rows ? watch.warmup - rows : 0);
}

}  // namespace

struct Pipeline::State {
  explicit State(const WatchConfig& watch) : calibration(calibration_rows(watch)) {}

  Quality quality;
  Calibration calibration;  ///< of kinds without evidence
  AlarmBudget budget;       ///< of kinds with it
  Decision decision;
  Summary summary;
  double last_value = wire::kUnknown;
  float last_score = 0;
  float bad_share = 0;          ///< of the last readings, about 64
  std::uint32_t since_bad = 0;  ///< readings
  std::uint32_t relearning = 0;
  Time fault_since{};            ///< kinds with evidence: when departures began
  std::uint32_t fault_rows = 0;  ///< readings since; 0: no fault is on
  bool resumed = false;          ///< restored, and no clock seen since
  double expected = wire::kUnknown;
  double lower = wire::kUnknown;
  double upper = wire::kUnknown;
  std::uint64_t readings_total = 0;
  std::uint64_t dropped_total = 0;

  template <class A>
  void fields(A& archive) {
    archive(quality, calibration, decision, summary, last_value, last_score, expected, lower,
            upper);
    archive(readings_total, dropped_total, bad_share, since_bad, relearning);
    archive(budget, fault_since, fault_rows);
  }
  [[nodiscard]] Band band() const { return {.expected = expected, .lower = lower, .upper = upper}; }
};

Result<std::unique_ptr<Pipeline>> Pipeline::make(const WatchConfig& watch, std::uint64_t id_seed) {
  const Kind* kind = find_kind(watch.detector);
  if (kind == nullptr) {
    return Error{Errc::bad_config,
                 "watch " + watch.name + ": no detector \"" + watch.detector + "\""};
  }
  const Settings settings{.width = 1,
                          .warmup = kind->evidence ? watch.warmup : detector_rows(watch),
                          .season = watch.season,
                          .parameters = watch.parameters};
  auto detector = kind->make(settings, {});
  if (!detector) return within("watch " + watch.name, detector.error());
  return std::unique_ptr<Pipeline>(new Pipeline(watch, *kind, id_seed, std::move(*detector)));
}

Pipeline::Pipeline(const WatchConfig& watch, const Kind& kind, std::uint64_t id_seed,
                   std::unique_ptr<Detector> detector)
    : watch_(&watch),
      kind_(&kind),
      id_seed_(id_seed),
      detector_(std::move(detector)),
      state_(std::make_unique<State>(watch)) {}

Pipeline::~Pipeline() = default;

void Pipeline::push(std::span<const Sample> samples, Time now, std::vector<Event>& events,
                    std::span<Verdict> out) {
  assert(out.empty() || out.size() == samples.size());
  if (samples.empty()) return;
  if (state_->resumed) {
    state_->quality.resumed(now);
    state_->resumed = false;
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::size_t known = events.size();
    Verdict verdict = take(samples[i], now, events);
    for (const Event& event : std::span(events).subspan(known)) {
      if (event.phase != wire::Phase::opened) continue;
      verdict.alarm = std::max({verdict.alarm, verdict.score, kAlarmScore});
    }
    if (!out.empty()) out[i] = verdict;
  }
}

Verdict Pipeline::take(const Sample& sample, Time now, std::vector<Event>& events) {
  State& s = *state_;
  const Checked checked = s.quality.check(sample.time, sample.value, now, *watch_);
  ++s.readings_total;
  const auto complain = [&](const Complaint& complaint, Time onset, double value) {
    s.decision.found({.reason = complaint.reason,
                      .onset = onset,
                      .time = checked.time,
                      .score = complaint.score,
                      .value = value,
                      .band = s.band(),
                      .detail = complaint.detail},
                     id_seed_, events);
  };
  if (checked.clock) complain(*checked.clock, checked.time, sample.value);
  if (checked.dropped) {
    ++s.dropped_total;
    return {.score = s.last_score, .anomalous = s.decision.open_count() > 0, .band = s.band()};
  }
  if (checked.gap) {
    complain(*checked.gap, gap_begin_, wire::kUnknown);
    for (int i = 0; i < 4; ++i) score_one(std::numeric_limits<double>::quiet_NaN(), checked.time);
  }
  s.decision.close(Reason::gap, checked.time, events);

  Verdict verdict;
  const bool usable = !checked.missing && !checked.withheld;
  if (usable) {
    const bool warm = detector_->warm();
    const One one = score_one(sample.value, checked.time);
    if (s.relearning > 0) {
      --s.relearning;
    } else if (warm) {
      if (kind_->evidence) {
        weigh(one, sample.value, checked.time, verdict, events);
      } else {
        calibrate(one, sample.value, checked.time, verdict, events);
      }
    }
  } else {
    score_one(std::numeric_limits<double>::quiet_NaN(), checked.time);
  }
  if (checked.complaint) {
    const bool stuck = checked.complaint->reason == Reason::stuck;
    complain(*checked.complaint, stuck ? checked.stuck_since : checked.time, sample.value);
    verdict.score = std::max(verdict.score, static_cast<float>(checked.complaint->score));
  }
  s.decision.passed(checked.time, watch_->hold, s.calibration.open(), events);
  accept_if_lasting(checked.time, events);
  gap_begin_ = checked.time;

  verdict.anomalous = s.decision.open_count() > 0;
  verdict.band = s.band();
  s.last_score = verdict.score;
  if (!checked.missing) s.last_value = sample.value;
  account(sample.value, checked.missing, verdict);
  return verdict;
}

Pipeline::One Pipeline::score_one(double value, Time time) {
  State& s = *state_;
  One one;
  Band band;
  // Kinds with evidence know themselves what a fault may teach.
  const bool learn = kind_->evidence || !s.calibration.open() || s.since_bad > kLearnAgain;
  float band_score = kUncalibratedBand;
  if (kind_->evidence) {
    band_score = s.budget.threshold();
  } else if (s.calibration.ready()) {
    band_score = s.calibration.raw_threshold();
  }
  const std::span evidence = std::span(&one.evidence, kind_->evidence ? 1 : 0);
  const auto done = detector_->score({.values = std::span(&value, 1),
                                      .times = std::span(&time, 1),
                                      .learn = learn,
                                      .band_score = band_score},
                                     {.raw = std::span(&one.raw, 1),
                                      .bands = std::span(&band, 1),
                                      .causes = std::span(&one.cause, 1),
                                      .evidence = evidence});
  assert(done);
  (void)done;
  if (std::isfinite(value)) {
    s.expected = band.expected;
    s.lower = band.lower;
    s.upper = band.upper;
  }
  return one;
}

void Pipeline::calibrate(const One& one, double value, Time time, Verdict& verdict,
                         std::vector<Event>& events) {
  State& s = *state_;
  if (s.readings_total % kRateEvery == 0 || !s.calibration.ready()) {
    const double per_week = s.quality.readings_per_week();
    if (per_week > 0) s.calibration.set_rate(watch_->alarms_per_week / per_week);
  }
  verdict.scored = s.calibration.ready();
  verdict.score = s.calibration.push(one.raw);
  const bool bad = verdict.scored && verdict.score > 1;
  s.bad_share += kSharePace * ((bad ? 1.0F : 0.0F) - s.bad_share);
  s.since_bad = bad ? 0 : std::min(s.since_bad, kLearnAgain) + 1;
  if (!bad) return;
  s.decision.found({.reason = Reason::unusual,
                    .cause = one.cause,
                    .onset = time,
                    .time = time,
                    .score = static_cast<double>(verdict.score),
                    .value = value,
                    .band = s.band()},
                   id_seed_, events);
}

/// The alarms of a kind with evidence.
void Pipeline::weigh(const One& one, double value, Time time, Verdict& verdict,
                     std::vector<Event>& events) {
  State& s = *state_;
  if (s.readings_total % kRateEvery == 0 || !s.budget.has_rate()) {
    const double per_week = s.quality.readings_per_week();
    if (per_week > 0) s.budget.set_rate(watch_->alarms_per_week / std::max(per_week, 2016.0));
  }
  const float strength = s.budget.push(one.evidence.novelty, detector_->memory_rows());
  const bool departed = one.evidence.departure > 1;
  follow_fault(departed, time);
  verdict.scored = true;
  verdict.alarm = strength;
  const bool open = s.decision.open(Reason::unusual);
  verdict.score = shown_score(one.raw / kRareRaw, open || strength > 0);
  if (strength > 0) {
    verdict.score = std::max(verdict.score, kAlarmScore);
    // Far stronger than what is open has faded to: a fault of its own.
    s.decision.close(Reason::unusual, time, events);
  } else if (!open || !departed) {
    return;
  }
  // Its height is how far out of the normal it is: 2 at 2.5 times the threshold, 4 at sixteen.
  const float out = std::max(1.0F, one.evidence.departure / s.budget.threshold());
  s.decision.found(
      {.reason = Reason::unusual,
       .cause = one.cause,
       .onset = time,
       .time = time,
       .score = static_cast<double>(std::max(verdict.score, 1 + 2.5F * std::log10(out))),
       .value = value,
       .band = s.band()},
      id_seed_, events);
}

void Pipeline::follow_fault(bool departed, Time time) noexcept {
  State& s = *state_;
  s.bad_share += kSharePace * ((departed ? 1.0F : 0.0F) - s.bad_share);
  s.since_bad = departed ? 0 : std::min(s.since_bad, kFaultQuiet) + 1;
  if (s.fault_rows == 0 && departed) s.fault_since = time;
  if (s.fault_rows > 0 || departed) ++s.fault_rows;
  if (s.since_bad > kFaultQuiet) s.fault_rows = 0;
  const bool lasting = time - s.fault_since >= watch_->accept_after &&
                       s.fault_rows >= std::max<std::uint64_t>(kAcceptReadings, watch_->warmup) &&
                       s.bad_share > kAcceptShare;
  if (s.fault_rows > 0 && lasting) {
    detector_->accept_new_normal();
    s.fault_rows = 0;
    s.bad_share = 0;
  }
}

/// What has lasted for WatchConfig::accept_after is the new normal.
void Pipeline::accept_if_lasting(Time time, std::vector<Event>& events) {
  State& s = *state_;
  if (s.decision.open_count() == 0) return;
  const auto lasting = [&](Reason reason) {
    return s.decision.open(reason) && time - s.decision.onset(reason) >= watch_->accept_after &&
           s.decision.readings_open(reason) >= kAcceptReadings;
  };
  if (!kind_->evidence && lasting(Reason::unusual) && s.bad_share > kAcceptShare) {
    accept_new_normal();
    s.decision.close(Reason::unusual, time, events);
  }
  if (lasting(Reason::stuck)) {
    s.quality.accept_run();
    s.decision.close(Reason::stuck, time, events);
  }
}

void Pipeline::take(Feedback feedback, std::vector<Event>& events) {
  State& s = *state_;
  if (kind_->evidence) {
    s.budget.take(feedback);
  } else {
    s.calibration.take(feedback);
  }
  if (feedback != Feedback::new_normal) return;
  accept_new_normal();
  s.decision.close(Reason::unusual, s.quality.last_time(), events);
  s.decision.close(Reason::stuck, s.quality.last_time(), events);
}

void Pipeline::accept_new_normal() noexcept {
  detector_->accept_new_normal();
  state_->calibration.accept();
  state_->quality.accept_run();
  state_->relearning = kind_->evidence ? 0 : kRelearnReadings;
  state_->fault_rows = 0;
  state_->bad_share = 0;
  state_->since_bad = kLearnAgain + 1;
}

void Pipeline::account(double value, bool missing, const Verdict& verdict) noexcept {
  Summary& summary = state_->summary;
  summary.reading();
  if (!missing) summary.value(value);
  if (verdict.scored || verdict.score > 0) summary.score(verdict.score);
}

void Pipeline::tick(Time now, std::vector<Event>& events) {
  State& s = *state_;
  if (s.resumed) {
    s.quality.resumed(now);
    s.resumed = false;
    return;
  }
  const auto silence = s.quality.silence(now, *watch_);
  if (!silence) return;
  const Time last = s.quality.last_time();
  const auto silent = Micros(static_cast<std::int64_t>(silence->detail * 1e6));
  s.decision.found({.reason = Reason::gap,
                    .onset = last,
                    .time = last + silent,
                    .score = silence->score,
                    .band = s.band(),
                    .detail = silence->detail},
                   id_seed_, events);
}

void Pipeline::finish(std::vector<Event>& events) { state_->decision.close_all(events); }

bool Pipeline::teach(AlarmPriorLearner& learner) const {
  const auto seen = state_->budget.experience();
  if (seen) learner.add(*seen);
  return seen.has_value();
}

void Pipeline::begin_with(const AlarmPrior& prior) noexcept {
  if (kind_->evidence && state_->readings_total == 0) state_->budget.begin_with(prior);
}

wire::SummaryRecord Pipeline::summary(Time begin, Time end) {
  wire::SummaryRecord record = state_->summary.take(begin, end);
  record.band = state_->band();
  return record;
}

StreamState Pipeline::state() const noexcept {
  const State& s = *state_;
  return {.last_time = s.quality.last_time(),
          .last_value = s.last_value,
          .last_score = s.last_score,
          .band = s.band(),
          .warm = kind_->evidence ? detector_->warm() : s.calibration.ready(),
          .anomalies_open = s.decision.open_count(),
          .readings_total = s.readings_total,
          .dropped_total = s.dropped_total};
}

const WatchConfig& Pipeline::watch() const noexcept { return *watch_; }

std::size_t Pipeline::state_bytes() const noexcept {
  return sizeof(*this) + sizeof(State) + detector_->state_bytes();
}

std::uint64_t Pipeline::tag(std::uint32_t version) const noexcept {
  return frame_tag("pipeline", version, frame_tag(watch_->detector, watch_->warmup));
}

void Pipeline::snapshot(std::vector<std::byte>& out) const {
  const AlarmPrior& prior = state_->budget.prior();
  const std::size_t begun = begin_frame(out, tag(prior.learnt() ? kTaughtVersion : kVersion));
  StateWriter writer(out);
  writer(*state_, gap_begin_);
  if (prior.learnt()) writer(prior);
  detector_->snapshot(out);
  end_frame(out, begun);
}

Result<void> Pipeline::restore(std::span<const std::byte> bytes) {
  state_ = std::make_unique<State>(*watch_);
  gap_begin_ = {};
  auto anew = [this](Error why) -> Error {  // whatever was taken before the fault goes too
    auto fresh = make(*watch_, id_seed_);
    assert(fresh);
    detector_ = std::move((*fresh)->detector_);
    state_ = std::make_unique<State>(*watch_);
    gap_begin_ = {};
    return why;
  };
  if (bytes.size() > state_bytes() + kSnapshotSlack)
    return anew({Errc::corrupt, "pipeline snapshot is too long"});
  auto content = open_frame(bytes, tag(kVersion));
  const bool taught = !content && content.error().code == Errc::unsupported;
  if (taught) content = open_frame(bytes, tag(kTaughtVersion));
  if (!content) return anew(content.error());
  StateReader reader(*content);
  reader(*state_, gap_begin_);
  if (taught) {
    AlarmPrior prior;
    reader(prior);
    state_->budget.begin_with(prior);
  }
  const bool sound = reader.ok() && bytes.empty() && state_->calibration.plausible() &&
                     state_->budget.plausible() && state_->decision.plausible();
  if (!sound) return anew({Errc::corrupt, "pipeline snapshot holds impossible values"});
  if (auto done = detector_->restore(reader.rest()); !done) return anew(done.error());
  state_->resumed = true;
  return {};
}

}  // namespace lapwing::detect
