// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/alarm_budget.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {
namespace {

constexpr double kLift = 0.2;
constexpr double kMovedMin = -2;
constexpr double kMovedMax = 5;
constexpr double kNaturalRate = 1.0 / 2016;
constexpr double kStronger = 1.6094379124341003;  // ln 5
constexpr double kFade = 0.1;                     // warm-ups for a factor e
constexpr double kRefractoryMin = -100;
constexpr double kStrengthLogMax = 20;

}  // namespace

void AlarmBudget::set_rate(double alarms_per_row) noexcept {
  rate_ = std::clamp(alarms_per_row, 1e-12, 0.01);
  prior_ = std::log(kNaturalRate / rate_);
}

float AlarmBudget::push(float novelty, double memory) noexcept {
  refractory_ = std::max(kRefractoryMin, refractory_ - 1 / (kFade * memory));
  moved_ = std::max(kMovedMin, moved_ - kLift * rate_);
  if (!(novelty > 0) || rate_ <= 0) return 0;
  const double strength = std::log(static_cast<double>(novelty)) - prior_ - moved_;
  if (strength <= 0 || strength <= refractory_) return 0;
  refractory_ = strength + kStronger;
  moved_ = std::min(kMovedMax, moved_ + kLift);
  return static_cast<float>(std::exp(std::min(strength, kStrengthLogMax)));
}

float AlarmBudget::threshold() const noexcept {
  return static_cast<float>(std::exp(prior_ + moved_));
}

void AlarmBudget::spare() noexcept { moved_ = std::max(kMovedMin, moved_ - kLift); }

bool AlarmBudget::plausible() const noexcept {
  return rate_ >= 0 && rate_ <= 0.01 && std::isfinite(prior_) && moved_ >= kMovedMin - 1 &&
         moved_ <= kMovedMax && std::isfinite(refractory_);
}

}  // namespace lapwing::detect
