// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/period.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace lapwing::detect {
namespace {

struct Limits {
  std::size_t lag_min;
  double height_min;
};
constexpr Limits kLikely{3, 0.2};
constexpr Limits kClear{4, 0.4};
constexpr double kHigher = 1.05;
constexpr double kDip = 0.1;
constexpr float kCut = 4;
constexpr int kCutPasses = 6;  // a wild outlier hides the others' spread at first
constexpr std::size_t kLanes = 16;

/// In independent sums, so that the compiler may use vectors.
double product(const float* a, const float* b, std::size_t count) noexcept {
  float lanes[kLanes] = {};
  double sum = 0;
  std::size_t i = 0;
  while (i + kLanes <= count) {
    const std::size_t block_end = std::min(count, i + 64 * kLanes);
    for (; i + kLanes <= block_end; i += kLanes) {
      for (std::size_t k = 0; k < kLanes; ++k) lanes[k] += a[i + k] * b[i + k];
    }
    for (float& lane : lanes) {
      sum += static_cast<double>(lane);
      lane = 0;
    }
  }
  for (; i < count; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

void centre(std::span<const float> values, float* out) noexcept {
  double mean = 0;
  for (const float v : values) mean += static_cast<double>(v);
  mean /= static_cast<double>(values.size());
  std::ranges::transform(
      values, out, [mean](float v) { return static_cast<float>(static_cast<double>(v) - mean); });
}

/// To mean absolute value 1, cut; false when nothing varies.
bool cut(std::span<float> values) noexcept {
  for (int pass = 0; pass < kCutPasses; ++pass) {
    double spread = 0;
    for (const float v : values) spread += std::abs(static_cast<double>(v));
    spread /= static_cast<double>(values.size());
    if (!(spread > 0)) return false;
    for (float& v : values) {
      v = std::clamp(static_cast<float>(static_cast<double>(v) / spread), -kCut, kCut);
    }
    centre(values, values.data());
  }
  return true;
}

}  // namespace

std::size_t find_period(std::span<const float> values, std::size_t lag_max,
                        PeriodRule rule) noexcept {
  const bool clear = rule == PeriodRule::clear;
  const Limits limits = clear ? kClear : kLikely;
  values = values.last(std::min(values.size(), kPeriodValuesMax));
  const std::size_t n = values.size();
  lag_max = std::min(lag_max, n / 2);
  if (lag_max <= limits.lag_min) return 0;
  std::array<float, kPeriodValuesMax> centred;  // only the first n are used
  centre(values, centred.data());
  if (clear && !cut(std::span(centred).first(n))) return 0;
  const double power = product(centred.data(), centred.data(), n) / static_cast<double>(n);
  if (!(power > 1e-12)) return 0;
  const auto height = [&](std::size_t lag) {
    return product(centred.data() + lag, centred.data(), n - lag) / static_cast<double>(n - lag) /
           power;
  };
  std::size_t best = 0;
  double best_height = limits.height_min;
  std::size_t lag = limits.lag_min;
  double before = height(lag - 1);
  double here = height(lag);
  bool dipped = !clear || std::min(before, here) < kDip || height(1) < kDip;
  for (; lag < lag_max; ++lag) {
    const double next = height(lag + 1);
    if (dipped && here > before && here >= next && here > kHigher * best_height) {
      best = lag;
      best_height = here;
    }
    dipped = dipped || next < kDip;
    before = here;
    here = next;
  }
  return best;
}

}  // namespace lapwing::detect
