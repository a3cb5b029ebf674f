// SPDX-License-Identifier: Apache-2.0
#include "shared/model/alarms.hpp"

#include "shared/detect/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lapwing::model {
namespace {

constexpr std::size_t kTaughtMin = 16;
constexpr std::size_t kTaughtMax = 100'000;
constexpr double kRateMax = 0.01;
// As in detect/group_pipeline.cpp: scores are raised to the power that makes their spread this.
constexpr double kSpread = 0.15;
constexpr double kPowerMax = 8;
constexpr float kRaisedMax = 1e30F;

}  // namespace

std::optional<Alarms> count_alarms(std::span<const float> trained, std::span<const float> held_out,
                                   double rows_per_week, double asked_per_week) {
  if (trained.size() < kTaughtMin || held_out.empty() || !(rows_per_week > 0)) return std::nullopt;
  trained = trained.last(std::min(trained.size(), kTaughtMax));
  std::vector<float> sorted(trained.begin(), trained.end());
  std::ranges::sort(sorted);
  const auto quantile = [&](double q) {
    return std::max(1e-6F,
                    sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))]);
  };
  const float unit = quantile(0.99);
  const double spread = std::log(static_cast<double>(unit / quantile(0.5))) / std::log(50.0);
  const auto power =
      static_cast<float>(std::clamp(kSpread / std::max(spread, 1e-6), 1.0, kPowerMax));
  const auto raised = [&](float raw) {
    return std::min(std::pow(std::max(raw, 0.0F) / unit, power), kRaisedMax);
  };
  detect::Calibration calibration(static_cast<std::uint32_t>(trained.size()));
  calibration.set_rate(std::min(asked_per_week / rows_per_week, kRateMax));
  for (const float one : trained) calibration.push(raised(one));
  const double weeks = static_cast<double>(held_out.size()) / rows_per_week;
  Alarms alarms{.asked_per_week = asked_per_week,
                .weeks = weeks,
                .expected = asked_per_week * weeks,
                .raised = 0};
  const float threshold = calibration.raw_threshold();
  int quiet = detect::Calibration::kHold;
  for (const float one : held_out) {
    const bool above = raised(one) > threshold;
    if (above && quiet >= detect::Calibration::kHold) ++alarms.raised;
    quiet = above ? 0 : quiet + 1;
  }
  return alarms;
}

}  // namespace lapwing::model
