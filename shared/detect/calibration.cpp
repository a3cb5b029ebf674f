// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr std::int32_t kNever = -1'000'000;
constexpr std::int32_t kTimeRebase = 1 << 29;
constexpr std::int64_t kSolveEvery = 16;

// Feedback of realised alarms on the threshold.
constexpr double kFeedback = 0.6;
constexpr double kDebtMin = -6;
constexpr double kDebtMax = 3;
constexpr double kDebtMemory = 50;  // in alarms asked for

// Where the tail is anchored: a rate so high that counts are plentiful.
constexpr double kAnchorCountMin = 12;
constexpr double kAnchorTimesAsked = 40;
constexpr double kAnchorRateMax = 1.0 / 250;
constexpr double kReach = 20;        // times the readings seen
constexpr double kAnchorSpread = 5;  // the second level has a fifth of the onsets
constexpr double kMemoryInAnchors = 100;

// The tail beyond the anchor: exponential in (e^{bl} - 1) / b, slope with a prior.
constexpr double kTailPower = 0.75;
constexpr double kPriorWeight = 6;
constexpr double kPriorSlope = 0.22;
constexpr double kDueTimes = 4;
constexpr double kFirstAlarm = 0.25;
constexpr double kFaultCountReach = 0.3;

constexpr double kRowQuantile = 0.98;
constexpr double kRowMemory = 1500;
constexpr float kAboveRows = 0.1F;  // what every reading reaches on a still stream is no alarm
constexpr float kOffsetMin = 0.01F;
constexpr float kRawMin = 0.05F;  // below it a raw score is rounding, on streams that have no other
constexpr double kWeightMax = 1e12;

double to_tail(double level) { return std::expm1(kTailPower * level) / kTailPower; }
double from_tail(double y) { return std::log1p(kTailPower * y) / kTailPower; }

}  // namespace

void Calibration::set_rate(double alarms_per_reading) noexcept {
  alarm_rate_ = std::clamp(alarms_per_reading, 1e-12, 0.01);
  anchor_rate_ = std::min(kAnchorTimesAsked * alarm_rate_, kAnchorRateMax);
  growth_ = std::exp(anchor_rate_ / kMemoryInAnchors);
}

float Calibration::raw_threshold() const noexcept {
  return std::max(0.0F, std::exp(std::min(threshold_ + log_unit_, 80.0F)) - offset_);
}

float Calibration::push(float raw) noexcept {
  if (ready_) return step(raw, false);
  const auto first = std::min<std::uint32_t>(rows_, kBuffer);
  if (buffered_ < first) {
    buffer_[buffered_++] = raw;
    if (buffered_ == first) begin();
  } else {
    step(raw, true);
    ++buffered_;
  }
  if (buffered_ >= rows_) {
    solve();
    threshold_ = std::max(solved_, least());
    ready_ = true;
  }
  return 0;
}

/// No threshold is lower.
float Calibration::least() const noexcept {
  return std::max(row_floor_ + kAboveRows, std::log(kRawMin + offset_) - log_unit_);
}

/// Takes the unit from the first raw scores, then counts them.
void Calibration::begin() noexcept {
  std::array<float, kBuffer> sorted = buffer_;
  const auto count = static_cast<std::ptrdiff_t>(buffered_);
  std::sort(sorted.begin(), sorted.begin() + count);
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < count; ++i) sum += sorted[static_cast<std::size_t>(i)];
  const float median = sorted[buffered_ / 2];
  offset_ = kOffsetMin * std::max({1.0F, median, static_cast<float>(sum / buffered_)});
  log_unit_ = std::log(sorted[static_cast<std::size_t>(0.9 * (buffered_ - 1))] + offset_);
  double excess = 0;
  int above = 0;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const float level = std::log(sorted[static_cast<std::size_t>(i)] + offset_);
    if (level > log_unit_) {
      excess += level - log_unit_;
      ++above;
    }
  }
  excess_mean_ = above > 0 ? static_cast<float>(std::max(0.05, excess / above)) : 0.3F;
  quiet_since_.fill(kNever);
  for (std::uint32_t i = 0; i < buffered_; ++i) step(buffer_[i], true);
}

float Calibration::step(float raw, bool calibrating) noexcept {
  if (++time_ >= kTimeRebase) rebase_time();
  const float level = std::log(raw + offset_) - log_unit_;
  float score = 0;
  float share = 1;
  bool paused = false;
  if (!calibrating) {
    if (open_ && time_ - exceeded_at_ > kHold) close();
    if (scored_++ % kSolveEvery == 0) {
      solve();
      shift_table();
    }
    const double corrected = solved_ + kFeedback * tail_ * std::clamp(debt_, kDebtMin, kDebtMax);
    threshold_ = std::max(static_cast<float>(corrected), least());
    score = std::min(kScoreMax, std::exp(std::min(20.0F, level - threshold_)));
    if (level > threshold_) {
      if (!open_) {
        open_ = true;
        opened_at_ = time_;
        opened_threshold_ = threshold_;
        peak_ = 0;
        opened_weight_ = weight_of_alarm();
        counted_ = 1;
        share = opened_weight_;
        debt_ += static_cast<double>(opened_weight_);
      }
      exceeded_at_ = time_;
    }
    if (open_) peak_ = std::max(peak_, level - opened_threshold_);
    paused = open_ && time_ - opened_at_ > 2 * kHold;
    if (!paused) debt_ -= alarm_rate_;
    alarms_ -= alarms_ * std::min(0.01F, static_cast<float>(weight_ / exposure_));
    debt_ = std::clamp(debt_, kDebtMin, kDebtMax) * (1 - alarm_rate_ / kDebtMemory);
  }
  count_shadows(level, calibrating ? level : std::min(level, threshold_), share, paused);
  if (!open_) {
    const double pace =
        excess_mean_ * std::max(3 / kRowMemory, 1.0 / (20 + static_cast<double>(time_)));
    row_floor_ +=
        static_cast<float>(level > row_floor_ ? pace * kRowQuantile : -pace * (1 - kRowQuantile));
    if (level > 0) {
      const float toward = std::min(level, 3 * excess_mean_) - excess_mean_;
      excess_mean_ = std::max(0.03F, excess_mean_ + static_cast<float>(3 / kRowMemory) * toward);
    }
  }
  return score;
}

/// Onsets that every level up to `counted` would have had; a level seen above stays latched.
void Calibration::count_shadows(float level, float counted, float share, bool paused) noexcept {
  const auto entry = [this](float at) {
    const float place = std::floor((at - table_floor_) / kLevelStep);
    return static_cast<int>(std::clamp(place, -1.0F, static_cast<float>(kLevels - 1)));
  };
  const int latched = entry(level);
  const int counting = paused ? -1 : entry(counted);
  const auto weight = share * static_cast<float>(weight_);
  for (int i = 0; i <= latched; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool onset = i <= counting && time_ - quiet_since_[at] > kHold;
    shadow_[at] += onset ? weight : 0.0F;
    quiet_since_[at] = time_;
  }
  if (paused) return;
  weight_ *= growth_;
  exposure_ += weight_;
  if (weight_ > kWeightMax) {
    for (float& count : shadow_) count /= static_cast<float>(weight_);
    exposure_ /= weight_;
    weight_ = 1;
  }
}

/// Where in the table the count falls to `count`; -1 when no level has as many.
double Calibration::position(double count) const noexcept {
  int i = kLevels - 1;
  while (i >= 0 && shadow_[static_cast<std::size_t>(i)] / weight_ < count) --i;
  if (i < 0 || i == kLevels - 1) return i;
  const double here = shadow_[static_cast<std::size_t>(i)] / weight_;
  const double next = std::max(0.5, shadow_[static_cast<std::size_t>(i) + 1] / weight_);
  return i + (here > next ? std::min(1.0, std::log(here / count) / std::log(here / next)) : 1.0);
}

/// The threshold for the asked rate: anchor, slope between two counts, predictive extrapolation.
void Calibration::solve() noexcept {
  const double seen = exposure_ / weight_;
  // Not further beyond experience than this: on a fast stream the asked rate is one in millions,
  // and a threshold for it guessed from a hundred readings would let plain faults pass. The price
  // is ln(readings when experience suffices / readings now) / kReach alarms: about half a one a
  // stream.
  const double wanted = std::max(alarm_rate_ * seen, 1 / kReach);
  double anchor_count = std::max(anchor_rate_ * seen, kAnchorCountMin);
  double anchor = position(anchor_count);
  if (anchor < 0) {  // no level has that many onsets: take the one with the most
    std::size_t most = 0;
    for (std::size_t i = 0; i < shadow_.size(); ++i) {
      if (shadow_[i] >= shadow_[most]) most = i;
    }
    anchor = static_cast<double>(most);
    anchor_count = std::max(0.5, shadow_[most] / weight_);
  }
  double second_count = std::max(anchor_count / kAnchorSpread, 1.5);
  if (second_count >= anchor_count) second_count = anchor_count / 2;
  const double second = std::max(anchor, position(second_count));
  const double anchor_level = table_floor_ + anchor * kLevelStep;
  const double second_level = table_floor_ + second * kLevelStep;
  const double counts = anchor_count - second_count;
  const double slope = (counts * (to_tail(second_level) - to_tail(anchor_level)) /
                            std::log(anchor_count / second_count) +
                        kPriorWeight * kPriorSlope * std::exp(kTailPower * anchor_level)) /
                       (counts + kPriorWeight);
  const double evidence = anchor_count + kPriorWeight;
  const double solved =
      wanted >= anchor_count
          ? table_floor_ + std::max(0.0, position(wanted)) * kLevelStep
          : from_tail(to_tail(anchor_level) +
                      evidence * slope * (std::pow(anchor_count / wanted, 1 / evidence) - 1));
  solved_ = static_cast<float>(solved);
  tail_ = static_cast<float>(std::max(0.02, slope * std::exp(-kTailPower * solved)));
}

/// Keeps the threshold inside the table.
void Calibration::shift_table() noexcept {
  constexpr int kShift = kLevels * 3 / 16;
  const float place = (threshold_ - table_floor_) / kLevelStep;
  if (place > static_cast<float>(kLevels - kShift)) {
    for (int i = 0; i < kLevels; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const bool kept = i + kShift < kLevels;
      shadow_[at] = kept ? shadow_[at + kShift] : 0.0F;
      quiet_since_[at] = kept ? quiet_since_[at + kShift] : kNever;
    }
    table_floor_ += kShift * kLevelStep;
  } else if (place < static_cast<float>(kLevels) / 8 && place > -2.0F * kLevels) {
    for (int i = kLevels - 1; i >= 0; --i) {
      const auto from = static_cast<std::size_t>(std::max(0, i - kShift));
      shadow_[static_cast<std::size_t>(i)] = shadow_[from];
      quiet_since_[static_cast<std::size_t>(i)] = quiet_since_[from];
    }
    table_floor_ -= kShift * kLevelStep;
  }
}

/// How much an alarm that opens now says about the normal tail. Where hardly any false alarm is due
/// yet (a fast stream, not long watched) it is more likely a fault, and a fault must not raise the
/// threshold for the next one; several in a row are doubted less and less.
float Calibration::weight_of_alarm() noexcept {
  alarms_ += 1;
  const double due = kDueTimes * alarm_rate_ * exposure_ / weight_;
  return static_cast<float>(
      std::min(1.0, std::max(due, kFirstAlarm * static_cast<double>(alarms_))));
}

/// One count for the levels just above the threshold: a huge fault cannot lift the whole table.
void Calibration::close() noexcept {
  open_ = false;
  const float reach = std::min(static_cast<float>(kFaultCountReach * (1 + std::max(0.0, debt_))),
                               std::max(0.0F, peak_));
  const auto place = [this](float level) { return (level - table_floor_) / kLevelStep; };
  const float last = static_cast<float>(kLevels - 1);
  const int from =
      static_cast<int>(std::clamp(std::ceil(place(opened_threshold_)), 0.0F, last + 1));
  const int to =
      static_cast<int>(std::clamp(std::floor(place(opened_threshold_ + reach)), -1.0F, last));
  for (int i = from; i <= to; ++i) {
    shadow_[static_cast<std::size_t>(i)] += opened_weight_ * static_cast<float>(weight_);
  }
}

void Calibration::take(Feedback feedback) noexcept {
  if (alarms_ <= 0) return;  // there was none
  const std::int8_t counts = alarms_counted(feedback);
  const int more = counts - std::exchange(counted_, counts);
  debt_ = std::clamp(debt_ + more * static_cast<double>(opened_weight_), kDebtMin, kDebtMax);
}

void Calibration::accept() noexcept {
  if (!open_) return;
  open_ = false;
  take(Feedback::new_normal);
}

void Calibration::rebase_time() noexcept {
  const std::int32_t back = kTimeRebase / 2;
  for (auto& at : quiet_since_) at = std::max(kNever, at - back);
  opened_at_ = std::max(kNever, opened_at_ - back);
  exceeded_at_ = std::max(kNever, exceeded_at_ - back);
  time_ -= back;
}

bool Calibration::plausible() const noexcept {
  const bool finite = std::isfinite(alarm_rate_) && std::isfinite(growth_) &&
                      std::isfinite(exposure_) && std::isfinite(weight_) && std::isfinite(debt_) &&
                      std::isfinite(table_floor_) && std::isfinite(log_unit_) &&
                      std::isfinite(excess_mean_) && std::isfinite(offset_) &&
                      std::isfinite(row_floor_) && std::isfinite(threshold_);
  return finite && alarm_rate_ > 0 && weight_ > 0 && offset_ > 0 && growth_ >= 1 &&
         buffered_ <= rows_ && counted_ >= 0 && counted_ <= 2 && time_ >= 0 && time_ < kTimeRebase;
}

}  // namespace lapwing::detect
