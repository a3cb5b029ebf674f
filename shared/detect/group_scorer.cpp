// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/group_scorer.hpp"

#include "shared/detect/shown_score.hpp"

#include <cassert>
#include <utility>

namespace lapwing::detect {
namespace {

using wire::Reason;

constexpr double kDetectorShare = 0.6;  // of the warm-up, for kinds without honest scores
constexpr std::uint32_t kCalibrationMin = 16;
constexpr std::uint64_t kRateEvery = 64;  // rows
constexpr std::uint64_t kAcceptRows = 64;
// Calibration extrapolates from where scores are plentiful with a tail that suits single readings.
// Kinds whose score is a mean over rows have a shorter one: scores are raised to the power that
// makes their spread this, ln(99 % quantile / median) / ln(50), and back.
constexpr double kSpread = 0.15;
constexpr double kPowerMin = 1;
constexpr double kPowerMax = 8;
constexpr float kRaisedMax = 1e30F;
constexpr float kStrengthMax = 1e6F;

std::uint32_t calibration_rows(const WatchConfig& watch, bool honest) {
  const std::uint32_t rows = detector_rows(watch, honest);
  return std::max(kCalibrationMin, watch.warmup > rows ? watch.warmup - rows : 0);
}

}  // namespace

std::uint32_t detector_rows(const WatchConfig& watch, bool honest) {
  if (honest) return watch.warmup;
  return std::max<std::uint32_t>(24, static_cast<std::uint32_t>(kDetectorShare * watch.warmup));
}

GroupScorer::State::State(const WatchConfig& watch, bool honest)
    : calibration(calibration_rows(watch, honest)),
      first(honest ? 0 : calibration_rows(watch, honest)) {}

float GroupScorer::State::raised(float raw) const noexcept {
  return std::min(std::pow(raw / unit, power), kRaisedMax);
}

float GroupScorer::State::threshold() const noexcept {
  return unit * std::pow(std::max(calibration.raw_threshold(), 1e-12F), 1 / power);
}

GroupScorer::GroupScorer(const WatchConfig& watch, std::unique_ptr<Detector> detector, bool honest)
    : watch_(&watch),
      honest_(honest),
      detector_(std::move(detector)),
      state_(watch, honest),
      sorted_(watch.warmup) {}

GroupScorer::GroupScorer(const WatchConfig& watch, TrainedModel model)
    : watch_(&watch),
      honest_(true),
      detector_(std::move(model.detector)),
      state_(watch, true),
      label_(std::move(model.label)),
      normal_(std::move(model.normal)),
      print_(model.print),
      comparison_(std::make_unique<Comparison>(normal_)) {
  calibrate_on_normal();
}

/// The room for it is given back: it is not needed again.
void GroupScorer::calibrate_on_normal() {
  sorted_.resize(normal_->sample.size());
  calibrate_on(normal_->sample, nullptr);
  sorted_ = {};
}

void GroupScorer::begin_anew(std::unique_ptr<Detector> detector) {
  if (detector) detector_ = std::move(detector);
  state_ = State(*watch_, honest_);
  if (is_model()) calibrate_on_normal();
}

Result<void> GroupScorer::score(const GroupRow& row, float& raw, std::span<float> shares) {
  return detector_->score(
      {.values = row.values, .times = std::span(&row.time, 1), .width = row.values.size()},
      {.raw = std::span(&raw, 1), .contributions = shares});
}

GroupVerdict GroupScorer::push(const GroupRow& row, std::span<float> shares, Decision& decision,
                               std::uint64_t id_seed, std::vector<Event>& events) {
  float raw = 0;
  const bool warm_before = detector_->warm();
  const bool explain = row.explain || !is_model();
  const auto done = score(row, raw, explain ? shares : std::span<float>());
  assert(done);
  if (!done) raw = std::numeric_limits<float>::quiet_NaN();
  GroupVerdict verdict{.raw = raw};
  ++rows_;
  if (!std::isfinite(raw) || raw < 0) {  // it breaks its contract: nothing of it may stay
    verdict.raw = std::numeric_limits<float>::quiet_NaN();
    verdict.anomalous = state_.episode.inside();
    decision.passed(row.time, watch_->hold, false, events);
  } else if (warm_before) {
    judge(raw, row, shares, decision, id_seed, verdict, events);
  } else if (detector_->warm() && honest_) {
    calibrate_on(detector_->warmup_scores(), &row.clock);
  }
  state_.last_score = verdict.score;
  return verdict;
}

void GroupScorer::judge(float raw, const GroupRow& row, std::span<float> shares, Decision& decision,
                        std::uint64_t id_seed, GroupVerdict& verdict, std::vector<Event>& events) {
  State& s = state_;
  const bool first_rows = is_model() && rows_ < kRateEvery;
  if (row.rows_total % kRateEvery == 0 || !s.calibration.ready() || first_rows) set_rate(row.clock);
  if (s.first_seen < s.first.size()) {
    s.first[s.first_seen] = raw;
    if (++s.first_seen == s.first.size()) calibrate_on(s.first, &row.clock);
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
    if (!decision.open(Reason::unusual) || score > s.peak) {
      s.peak = score;
      // Most rows need no explanation, which may cost more than the score: a model is asked again.
      if (!row.explain && is_model()) (void)this->score(row, raw, shares);
      s.parts = largest(shares);
    }
    decision.found({.reason = Reason::unusual,
                    .cause = Cause::pattern,
                    .onset = row.time,
                    .time = row.time,
                    .score = std::max(1.0, score)},
                   id_seed, events);
  }
  decision.passed(row.time, watch_->hold, false, events);
}

/// The largest shares first.
GroupScorer::Parts GroupScorer::largest(std::span<const float> shares) {
  Parts parts;
  for (std::size_t c = 0; c < shares.size(); ++c) {
    if (!(shares[c] > 0) || !std::isfinite(shares[c])) continue;
    std::size_t at = parts.count;
    while (at > 0 && parts.list[at - 1].share < shares[c]) --at;
    if (at == parts.list.size()) continue;
    parts.count = std::min<std::uint32_t>(parts.count + 1, GroupEvent::kParts);
    for (std::size_t i = parts.count - 1; i > at; --i) parts.list[i] = parts.list[i - 1];
    parts.list[at] = {static_cast<std::uint16_t>(c), shares[c]};
  }
  return parts;
}

void GroupScorer::set_rate(const Quality& clock) noexcept {
  const double per_week = clock.readings_per_week();
  if (per_week > 0) state_.calibration.set_rate(watch_->alarms_per_week / per_week);
}

/// Scores of rows that were not learnt give the unit, the spread and the first threshold.
void GroupScorer::calibrate_on(std::span<const float> scores, const Quality* clock) noexcept {
  State& s = state_;
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
  if (clock != nullptr) set_rate(*clock);
  for (const float one : scores.last(count)) s.calibration.push(s.raised(one));
}

bool GroupScorer::lasting(const Decision& decision, Time time) const noexcept {
  return decision.open(Reason::unusual) &&
         time - decision.onset(Reason::unusual) >= watch_->accept_after &&
         decision.readings_open(Reason::unusual) >= kAcceptRows;
}

void GroupScorer::accept_new_normal(const Quality& clock) noexcept {
  detector_->accept_new_normal();
  state_.episode = {};
  state_.rare = 0;
  state_.calibration.accept();
  if (detector_->warm() && honest_) calibrate_on(detector_->warmup_scores(), &clock);
}

std::size_t GroupScorer::state_bytes() const noexcept {
  return sizeof(*this) + detector_->state_bytes() +
         (state_.first.size() + sorted_.size()) * sizeof(float) +
         (comparison_ ? sizeof(Comparison) : 0);
}

bool GroupScorer::plausible(std::size_t sensors) const noexcept {
  const State& s = state_;
  const auto placed = [sensors](const Part& part) { return part.sensor < sensors; };
  return s.calibration.plausible() && s.first_seen <= s.first.size() && s.episode.plausible() &&
         s.parts.count <= GroupEvent::kParts && std::ranges::all_of(s.parts.list, placed) &&
         std::isfinite(s.unit) && s.unit > 0 && std::isfinite(s.rare) && s.rare >= 0 &&
         s.power >= static_cast<float>(kPowerMin) && s.power <= static_cast<float>(kPowerMax);
}

}  // namespace lapwing::detect
