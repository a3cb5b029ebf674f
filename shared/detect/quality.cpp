// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect {
namespace {

using wire::Reason;

constexpr Time kYear2000 = from_micros(946'684'800'000'000);
constexpr Micros kFutureMax = std::chrono::hours(24);
constexpr std::uint32_t kBackRunMax = 8;     // late readings in a row: the clock was set back
constexpr std::uint32_t kSameTimeMax = 100;  // readings at one instant: the clock stands still
constexpr float kClockTroubleMax = 3;
constexpr float kClockTroubleDecay = 1.0F / 32;
constexpr double kGapSecondsMin = 2;
constexpr double kGapIntervals = 8;
constexpr double kGapPauses = 4;
constexpr std::uint32_t kIntervalsMin = 16;
constexpr std::uint32_t kChangesMin = 30;  // changes that show a stream varies by itself
constexpr float kRunMeanMax = 10;          // readings a value lasts on a stream that varies
constexpr std::uint32_t kRunsRemembered = 256;
constexpr std::uint32_t kRunMin = 24;
constexpr double kRunTimes = 8;
constexpr double kRunLogChance = 23;  // a run this unlikely: e^-23, 1e-10
constexpr std::uint32_t kWithholdRun = 8;
constexpr float kRunMeanWithhold = 1.2F;
constexpr double kComplaintScoreMax = 1000;

double seconds(Micros span) { return static_cast<double>(span.count()) * 1e-6; }

double score_over(double value, double limit) {
  return std::clamp(value / limit, 1.0 + 1e-6, kComplaintScoreMax);
}

}  // namespace

Checked Quality::check(Time time, double value, Time now, const WatchConfig& watch) noexcept {
  Checked checked{.time = time};
  if (!check_clock(checked, value, now)) return checked;
  const bool first = readings_++ == 0;
  const Time before = last_time_;
  if (!first) check_gap(checked, now, watch);
  last_time_ = checked.time;
  last_arrival_ = now;
  if (!std::isfinite(value)) {
    checked.missing = true;
    checked.complaint = Complaint{Reason::not_a_number, 2.5, 0};
    return checked;
  }
  if (readings_ == 1 || !std::isfinite(last_value_)) run_since_ = checked.time;
  const double dt = seconds(checked.time - before);
  if (watch.rate_max && !first && dt > 0 && std::abs(value - last_value_) / dt > *watch.rate_max) {
    const double rate = std::abs(value - last_value_) / dt;
    checked.complaint = Complaint{Reason::rate, score_over(rate, *watch.rate_max), rate};
    checked.withheld = true;
  }
  check_stuck(checked, value, watch);
  last_value_ = value;
  const bool low = watch.min && value < *watch.min;
  const bool high = watch.max && value > *watch.max;
  if (low || high) {
    const double limit = low ? *watch.min : *watch.max;
    const double both = watch.min && watch.max ? *watch.max - *watch.min : std::abs(limit);
    const double past = std::abs(value - limit) / std::max(both, 1e-12 + 0.1 * std::abs(limit));
    checked.complaint =
        Complaint{Reason::out_of_range, std::min(2.001 + 2 * past, kComplaintScoreMax), limit};
    checked.withheld = true;
  }
  return checked;
}

/// False: the reading is a repetition or late, and goes no further.
bool Quality::check_clock(Checked& checked, double value, Time now) noexcept {
  clock_trouble_ -= clock_trouble_ * kClockTroubleDecay;
  const bool past = checked.time < kYear2000 && now >= kYear2000;
  if (past || checked.time > now + kFutureMax) {
    checked.clock = Complaint{Reason::clock, 1.5, seconds(checked.time - now)};
    checked.time = readings_ > 0 ? std::max(now, last_time_ + Micros(1)) : now;
    return true;
  }
  if (readings_ == 0) return true;
  if (checked.time == last_time_) {
    if (value == last_value_ || (std::isnan(value) && std::isnan(last_value_))) {
      checked.dropped = true;  // delivered twice: at-least-once transports do that
      return false;
    }
    if (same_time_++ == 0) same_time_since_ = now;
    if (same_time_ > kSameTimeMax && now - same_time_since_ > std::chrono::seconds(5)) {
      checked.clock = Complaint{Reason::clock, 1.5, 0};
      checked.time = std::max(now, last_time_ + Micros(1));
    }
    return true;
  }
  same_time_ = 0;
  if (checked.time > last_time_) {
    back_run_ = 0;
    return true;
  }
  const double back = seconds(checked.time - last_time_);
  back_run_ = back_run_ > 0 && checked.time < back_time_ ? 1 : back_run_ + 1;
  back_time_ = checked.time;
  clock_trouble_ += 1;
  if (back_run_ >= kBackRunMax) {  // a clock set back stays back: go on from there
    back_run_ = 0;
    skip_gap_ = true;
    checked.clock = Complaint{Reason::clock, 1.5, back};
    return true;
  }
  if (clock_trouble_ > kClockTroubleMax) checked.clock = Complaint{Reason::clock, 1.2, back};
  checked.dropped = true;
  return false;
}

double Quality::gap_limit_seconds(const WatchConfig& watch) const noexcept {
  const double floor = watch.gap_after ? seconds(*watch.gap_after) : kGapSecondsMin;
  return std::max({floor, kGapIntervals * static_cast<double>(interval_usual_),
                   kGapPauses * static_cast<double>(pause_max_)});
}

void Quality::check_gap(Checked& checked, Time now, const WatchConfig& watch) noexcept {
  const double dt = seconds(checked.time - last_time_);
  const double pause = std::max(0.0, seconds(now - last_arrival_));
  if (skip_gap_ || dt < 0) {
    skip_gap_ = false;
    return;
  }
  const double limit = gap_limit_seconds(watch);
  const bool known = intervals_ >= kIntervalsMin || (watch.gap_after && intervals_ > 0);
  if (watch.gap_check && known && dt > limit) {
    // Worth a major anomaly whatever its length: while it lasts nothing else can be seen.
    checked.gap = Complaint{Reason::gap, score_over(2 * dt, limit), dt};
    return;  // not usual: not learnt
  }
  const auto interval = static_cast<float>(dt);
  ++intervals_;
  if (intervals_ <= kIntervalsMin) {
    interval_mean_ += (interval - interval_mean_) / static_cast<float>(intervals_);
    interval_usual_ = interval_mean_;
  } else {
    const float cut = std::min(interval, 4 * interval_mean_ + 1e-6F);
    interval_mean_ +=
        (cut - interval_mean_) * std::max(0.001F, 1.0F / static_cast<float>(intervals_));
    interval_usual_ *= interval > interval_usual_ ? 1.02F : 0.98F;
    interval_usual_ = std::max(interval_usual_, 1e-6F);
  }
  pause_max_ = std::max(interval, pause_max_ - (pause_max_ - interval_mean_) * 1e-4F);
  // Readings that come late but without a hole are sent in bursts; one long delay is not yet a
  // habit.
  const double habit = std::max(4 * limit, 2 * static_cast<double>(arrival_pause_max_));
  arrival_pause_max_ =
      std::max(static_cast<float>(std::min(pause, habit)), arrival_pause_max_ * (1 - 1e-4F));
}

std::optional<Complaint> Quality::silence(Time now, const WatchConfig& watch) const noexcept {
  if (!watch.gap_check || readings_ == 0) return std::nullopt;
  if (intervals_ < kIntervalsMin && !watch.gap_after) return std::nullopt;
  const double silent = seconds(now - last_arrival_);
  const double limit =
      std::max(gap_limit_seconds(watch), kGapPauses * static_cast<double>(arrival_pause_max_));
  if (silent <= limit) return std::nullopt;
  return Complaint{Reason::gap, score_over(2 * silent, limit), silent};
}

void Quality::resumed(Time now) noexcept {
  last_arrival_ = now;
  skip_gap_ = true;
}

bool Quality::varies() const noexcept {
  return changes_ >= kChangesMin && run_mean_ <= kRunMeanMax;
}

/// Readings in a row that this stream never repeats by itself; infinite for one that often rests.
double Quality::run_limit() const noexcept {
  if (!varies()) return std::numeric_limits<double>::infinity();
  const double repeats = std::max(0.02, 1 - 1 / static_cast<double>(run_mean_));
  return std::max(
      {static_cast<double>(kRunMin), kRunTimes * run_max_, kRunLogChance / -std::log(repeats)});
}

void Quality::check_stuck(Checked& checked, double value, const WatchConfig& watch) noexcept {
  const bool same = readings_ > 1 && value == last_value_;
  if (!same) {
    // What was reported counts as usual only in part: the next one must be twice as long.
    const std::uint32_t usual = stuck_ ? run_ / 4 : run_;
    run_max_ = std::max(run_max_, usual);
    if (changes_ < std::numeric_limits<std::uint32_t>::max()) ++changes_;
    run_mean_ += (static_cast<float>(usual) - run_mean_) /
                 static_cast<float>(std::min(changes_, kRunsRemembered));
    run_ = 1;
    run_since_ = checked.time;
    stuck_ = false;
  } else if (run_ < std::numeric_limits<std::uint32_t>::max()) {
    ++run_;
  }
  if (!same) return;
  checked.stuck_since = run_since_;
  const double lasted = seconds(checked.time - run_since_);
  double score = 0;
  if (watch.stuck_after && lasted >= seconds(*watch.stuck_after)) {
    score = score_over(lasted, seconds(*watch.stuck_after));
  }
  const double limit = run_limit();
  if (watch.stuck_check && run_ >= limit) score = std::max(score, score_over(run_, limit));
  if (score > 0) {
    stuck_ = true;
    checked.complaint = Complaint{Reason::stuck, score, lasted};
  }
  // Once it looks stuck it must not teach the detector how calm the stream can be.
  checked.withheld = checked.withheld || stuck_ ||
                     (watch.stuck_check && varies() && run_mean_ < kRunMeanWithhold &&
                      run_ > kWithholdRun && run_ > 2 * run_max_);
}

void Quality::accept_run() noexcept {
  run_max_ = std::max(run_max_, run_);
  stuck_ = false;
}

double Quality::readings_per_week() const noexcept {
  if (intervals_ == 0 || interval_mean_ <= 0) return 0;
  return 604800.0 / static_cast<double>(interval_mean_);
}

}  // namespace lapwing::detect
