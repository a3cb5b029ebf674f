// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_group/channels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect::group {
namespace {

constexpr double kRelativeFloor = 1e-3;  // of the mean: the least deviation
constexpr float kStandardMax = 100;
constexpr int kNumberLevels = 6;  // values a sensor that is no switch has at least
constexpr float kWeightMin = 0.005F;
constexpr std::uint32_t kOutage = 3;  // rows; longer ones are no mere gaps
constexpr std::uint32_t kRecoverMax = 160;

float weight_of(int count, bool is_switch) {
  const int levels = is_switch ? std::max(1, count) : std::max(kNumberLevels, count);
  const float bits = std::log2(static_cast<float>(levels)) / 4;
  return bits * bits + kWeightMin;
}

}  // namespace

Channels::Channels(std::size_t width)
    : mean_(width),
      inverse_(width),
      standard_(width),
      counting_(width),
      weight_(width),
      levels_(width),
      missing_(width),
      recovering_(width) {}

void Channels::learn(const History& history) noexcept {
  for (std::size_t c = 0; c < mean_.size(); ++c) {
    levels_[c] = {};
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t t = 0; t < history.rows(); ++t) {
      const double value = history.row(t)[c];
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
      see(c, value);
    }
    mean_[c] = inverse_[c] = 0;
    if (count == 0) continue;
    mean_[c] = sum / static_cast<double>(count);
    double squares = 0;
    for (std::size_t t = 0; t < history.rows(); ++t) {
      const double value = history.row(t)[c];
      if (!std::isnan(value)) squares += (value - mean_[c]) * (value - mean_[c]);
    }
    const double deviation = std::sqrt(squares / static_cast<double>(count));
    inverse_[c] = 1 / std::max({deviation, kRelativeFloor * std::abs(mean_[c]),
                                std::numeric_limits<double>::min()});
  }
  std::ranges::fill(standard_, 0.0F);
  std::ranges::fill(missing_, 0U);
  std::ranges::fill(recovering_, 0U);
}

void Channels::see(std::size_t channel, double value) noexcept {
  Levels& levels = levels_[channel];
  if (levels.count == kLevels && !levels.is_switch) return;
  levels.is_switch = levels.is_switch && (value == 0 || value == 1);
  const auto end = levels.values.begin() + levels.count;
  if (levels.count < kLevels && std::find(levels.values.begin(), end, value) == end) {
    levels.values[levels.count++] = value;
  }
  weight_[channel] = weight_of(levels.count, levels.is_switch);
}

float Channels::score(std::size_t channel, double value) const noexcept {
  const double deviations = (value - mean_[channel]) * inverse_[channel];
  return std::clamp(static_cast<float>(std::clamp(deviations, -1e30, 1e30)), -kStandardMax,
                    kStandardMax);
}

float Channels::standard_or(std::size_t channel, double value, float last) const noexcept {
  return std::isnan(value) ? last : score(channel, value);
}

void Channels::column(const History& history, std::size_t channel,
                      std::span<float> out) const noexcept {
  float last = 0;
  for (std::size_t t = 0; t < history.rows(); ++t) {
    last = standard_or(channel, history.row(t)[channel], last);
    out[t] = last;
  }
}

void Channels::push(std::span<const double> row, bool learn) noexcept {
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (!std::isfinite(row[c])) {
      if (missing_[c] < std::numeric_limits<std::uint32_t>::max()) ++missing_[c];
      counting_[c] = 0;
      continue;
    }
    const double value = std::clamp(row[c], -History::kValueMax, History::kValueMax);
    if (missing_[c] > kOutage) recovering_[c] = std::min(missing_[c], kRecoverMax);
    missing_[c] = 0;
    if (learn) see(c, value);
    standard_[c] = score(c, value);
    const bool counts = recovering_[c] == 0 && inverse_[c] > 0;
    counting_[c] = counts ? weight_[c] : 0;
    if (recovering_[c] > 0) --recovering_[c];
  }
}

bool Channels::analogue(std::size_t channel) const noexcept {
  return levels_[channel].count > 2 && !levels_[channel].is_switch;
}

std::size_t Channels::bytes() const noexcept {
  return mean_.size() *
         (2 * sizeof(double) + 3 * sizeof(float) + 2 * sizeof(std::uint32_t) + sizeof(Levels));
}

bool Channels::plausible() const noexcept {
  const auto finite = [](auto v) { return std::isfinite(v); };
  const auto weighs = [](float v) { return v >= 0 && v <= 1 + kWeightMin; };
  return std::ranges::all_of(mean_, finite) &&
         std::ranges::all_of(inverse_, [](double v) { return v >= 0 && std::isfinite(v); }) &&
         std::ranges::all_of(standard_, [](float v) { return std::abs(v) <= kStandardMax; }) &&
         std::ranges::all_of(counting_, weighs) && std::ranges::all_of(weight_, weighs) &&
         std::ranges::all_of(levels_, [](const Levels& v) { return v.count <= kLevels; }) &&
         std::ranges::all_of(recovering_, [](auto v) { return v <= kRecoverMax; });
}

}  // namespace lapwing::detect::group
