// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/alignment.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace lapwing::detect {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 4;
constexpr Micros kAheadMax = std::chrono::minutes(1);
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Alignment::Alignment(const AlignmentSettings& settings)
    : settings_(settings),
      given_(kNever),
      newest_(kNever),
      forced_(kNever),
      rows_(settings.rows_max + 1),
      values_((settings.rows_max + 1) * settings.sensors),
      reported_(settings.sensors, kNever),
      out_(settings.sensors) {
  assert(settings.sensors > 0 && settings.rows_max >= 2 && settings.wait.count() >= 0);
  if (!settings.interval) {
    learners_.resize(settings.sensors);
    intervals_.resize(settings.sensors * kLearn);
  }
}

void Alignment::push(std::size_t sensor, Time time, double value, Time now) noexcept {
  assert(sensor < settings_.sensors);
  now_ = std::max(now_, now);
  if (interval_ == 0) {
    if (!settings_.interval) {
      learn(sensor, time);
      return;
    }
    start(*settings_.interval, time);
  }
  const std::int64_t slot = slot_of(time);
  const bool ahead = time - now_ > settings_.wait + kAheadMax;
  if (slot <= given_ || ahead) {
    ++late_;
    late_run_ += ahead ? 0 : 1;
    if (late_run_ < kLateRun * settings_.sensors) return;
    restart();
  }
  late_run_ = 0;
  newest_time_ = newest_ == kNever ? time : std::max(newest_time_, time);
  newest_ = std::max(newest_, slot);
  values_[row_for(slot) * settings_.sensors + sensor] = value;
  reported_[sensor] = std::max(reported_[sensor], slot);
  if (waiting() == rows_.size()) forced_ = std::max(forced_, rows_[*oldest()].slot);
}

/// The row of a slot; a new one when there is none yet.
std::size_t Alignment::row_for(std::int64_t slot) noexcept {
  const auto found =
      std::ranges::find_if(rows_, [slot](const Row& row) { return row.used && row.slot == slot; });
  if (found != rows_.end()) return static_cast<std::size_t>(found - rows_.begin());
  const auto unused = std::ranges::find(rows_, false, &Row::used);
  const std::size_t at =
      unused == rows_.end() ? *oldest() : static_cast<std::size_t>(unused - rows_.begin());
  rows_[at] = {.slot = slot, .first_arrival = now_, .used = true};
  std::fill_n(&values_[at * settings_.sensors], settings_.sensors, kMissing);
  return at;
}

/// Every clock was set back: what was given says nothing about what is late.
void Alignment::restart() noexcept {
  given_ = newest_ = forced_ = kNever;
  std::ranges::fill(reported_, kNever);
  for (Row& row : rows_) row.used = false;
}

void Alignment::tick(Time now) noexcept { now_ = std::max(now_, now); }

void Alignment::finish() noexcept { forced_ = newest_; }

std::optional<AlignedRow> Alignment::next() noexcept {
  const auto at = oldest();
  if (!at || !ready(rows_[*at])) return std::nullopt;
  Row& row = rows_[*at];
  std::copy_n(&values_[*at * settings_.sensors], settings_.sensors, out_.begin());
  row.used = false;
  given_ = row.slot;
  return AlignedRow{.time = end_of(row.slot), .values = out_};
}

bool Alignment::ready(const Row& row) const noexcept {
  if (row.slot <= forced_) return true;
  if (newest_time_ - end_of(row.slot) >= settings_.wait) return true;
  if (now_ - row.first_arrival >= Micros(interval_) + settings_.wait) return true;
  return std::ranges::all_of(reported_, [&](std::int64_t slot) { return slot >= row.slot; });
}

std::optional<std::size_t> Alignment::oldest() const noexcept {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].used && (!found || rows_[i].slot < rows_[*found].slot)) found = i;
  }
  return found;
}

std::optional<Micros> Alignment::interval() const noexcept {
  if (interval_ == 0) return settings_.interval;
  return Micros(interval_);
}

std::size_t Alignment::waiting() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(rows_, &Row::used));
}

void Alignment::learn(std::size_t sensor, Time time) noexcept {
  ++learnt_from_;
  Learner& one = learners_[sensor];
  const std::int64_t passed = (time - one.last).count();
  if (one.any && passed <= 0) return;
  if (one.any) {
    if (one.count < kLearn) intervals_[sensor * kLearn + one.count] = passed;
    ++one.count;
  }
  one.any = true;
  one.last = time;
  const auto knows = [](const Learner& learner) { return learner.count >= kLearn; };
  if (!std::ranges::all_of(learners_, knows) && one.count < 8 * kLearn) return;
  std::int64_t slowest = 0;
  for (std::size_t c = 0; c < learners_.size(); ++c) {
    if (!knows(learners_[c])) continue;
    const auto begin = intervals_.begin() + static_cast<std::ptrdiff_t>(c * kLearn);
    std::nth_element(begin, begin + kLearn / 2, begin + kLearn);
    slowest = std::max(slowest, begin[kLearn / 2]);
  }
  start(Micros(slowest), time);
  given_ = slot_of(time);  // the reading at hand was learnt from
}

void Alignment::start(Micros interval, Time at) noexcept {
  interval_ = interval.count();
  origin_ = to_micros(at) - interval_ / 2;
}

std::int64_t Alignment::slot_of(Time time) const noexcept {
  const std::int64_t since = to_micros(time) - origin_;
  return since >= 0 ? since / interval_ : -((-since + interval_ - 1) / interval_);
}

Time Alignment::end_of(std::int64_t slot) const noexcept {
  return from_micros(origin_ + (slot + 1) * interval_);
}

}  // namespace lapwing::detect
