// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/alarm_budget.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::detect {
namespace {

constexpr std::uint64_t kSolveEvery = 64;  // rows
constexpr double kMemoryUnits = 50;        // alarms asked until a count weighs 1/e
constexpr double kSettledAlarms = 5;       // asked, until a stream can teach others

constexpr double kFeedback = 0.4;    // log novelty per alarm too many
constexpr double kGentleUnits = 10;  // alarms asked until it is in full force
constexpr double kDebtMin = -6;
constexpr double kDebtMax = 6;
constexpr double kDebtMemory = 50;  // alarms asked

constexpr double kStronger = 2.0794415416798357;  // ln 8
constexpr double kFade = 0.1;                     // memories for a factor e
constexpr double kWeightMax = 1e9;

}  // namespace

void AlarmBudget::set_rate(double alarms_per_row) noexcept {
  rate_ = std::clamp(alarms_per_row, 1e-12, 0.01);
  solved_ = 0;
}

std::optional<AlarmExperience> AlarmBudget::experience() const noexcept {
  if (asked_ < kSettledAlarms) return {};
  AlarmExperience seen{.rows = exposure_ / weight_};
  for (std::size_t i = 0; i < kLevels; ++i) seen.alarms[i] = shadows_[i] / weight_;
  return seen;
}

/// Alarms per row at a level: the mean of a gamma posterior.
double AlarmBudget::expected_rate(double level) const noexcept {
  const double prior_rows =
      AlarmPrior::kAlarms / AlarmPrior::kNaturalRate * std::exp(prior_.rarity(level));
  return (AlarmLevels::look_up(shadows_, level) / weight_ + AlarmPrior::kAlarms) /
         (exposure_ / weight_ + prior_rows);
}

void AlarmBudget::solve() noexcept {
  double low = AlarmLevels::kLowest;
  double high = AlarmLevels::kHighest;
  if (expected_rate(low) <= rate_) high = low;
  for (int i = 0; i < 24 && high > low; ++i) {
    const double middle = (low + high) / 2;
    (expected_rate(middle) <= rate_ ? high : low) = middle;
  }
  threshold_ = high;
  solved_ = rows_;
}

double AlarmBudget::raised() const noexcept {
  return threshold_ + kFeedback * std::min(1.0, asked_ / kGentleUnits) * debt_;
}

float AlarmBudget::push(float novelty, double memory) noexcept {
  ++rows_;
  if (rate_ <= 0) return 0;
  if (exposure_ <= 0) {  // the warm-up: rows that raised no alarm
    exposure_ = memory;
    asked_ = memory * rate_;
    debt_ = -asked_;
  }
  weight_ *= 1 + rate_ / kMemoryUnits;
  exposure_ += weight_;
  asked_ += rate_;
  debt_ = std::max(kDebtMin, debt_ - rate_) * (1 - rate_ / kDebtMemory);
  if (weight_ > kWeightMax) {
    for (double& shadow : shadows_) shadow /= weight_;
    newest_weight_ /= weight_;
    exposure_ /= weight_;
    weight_ = 1;
  }
  if (!(novelty > 0)) return 0;
  if (solved_ == 0 || rows_ - solved_ > kSolveEvery) solve();

  const double now = static_cast<double>(rows_) / (kFade * memory);
  const double level = std::log(static_cast<double>(novelty));
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < kLevels; ++i) {
    const double over = level - AlarmLevels::at(i);
    if (over <= 0) break;
    if (over <= shadow_refractory_[i] - now) continue;
    shadows_[i] += weight_;
    counted |= std::uint64_t{1} << i;
    shadow_refractory_[i] = over + kStronger + now;
  }
  const double over = level - raised();
  if (over <= 0 || over <= refractory_ - now) return 0;
  refractory_ = over + kStronger + now;
  debt_ = std::min(kDebtMax, debt_ + 1);
  newest_levels_ = counted;
  newest_weight_ = weight_;
  newest_counted_ = 1;
  solved_ = 0;
  const double usual = AlarmPrior::general_level(std::log(AlarmPrior::kNaturalRate / rate_));
  return static_cast<float>(1 + std::exp(std::clamp(level - usual, -20.0, 20.0)));
}

void AlarmBudget::take(Feedback feedback) noexcept {
  if (newest_weight_ <= 0) return;
  const std::int8_t counts = alarms_counted(feedback);
  const double more = counts - std::exchange(newest_counted_, counts);
  debt_ = std::clamp(debt_ + more, kDebtMin, kDebtMax);
  for (std::size_t i = 0; i < kLevels; ++i) {
    if ((newest_levels_ >> i & 1) == 0) continue;
    shadows_[i] = std::max(0.0, shadows_[i] + more * newest_weight_);
  }
  solved_ = 0;
}

float AlarmBudget::threshold() const noexcept { return static_cast<float>(std::exp(raised())); }

bool AlarmBudget::plausible() const noexcept {
  const auto fine = [](double v) { return std::isfinite(v); };
  return rate_ >= 0 && rate_ <= 0.01 && exposure_ >= 0 && weight_ >= 1 &&
         weight_ <= 2 * kWeightMax && fine(exposure_) && fine(asked_) && fine(debt_) &&
         fine(threshold_) && fine(refractory_) && newest_weight_ >= 0 && fine(newest_weight_) &&
         newest_counted_ >= 0 && newest_counted_ <= 2 && std::ranges::all_of(shadows_, fine) &&
         std::ranges::all_of(shadow_refractory_, fine) && prior_.plausible();
}

}  // namespace lapwing::detect
