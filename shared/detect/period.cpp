// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/period.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace lapwing::detect {
namespace {

constexpr std::size_t kLagMin = 4;
constexpr double kHeight = 0.4;
constexpr double kClearlyHigher = 1.05;
constexpr double kDip = 0.1;  // the autocorrelation must have gone down before a peak is one
constexpr double kCut = 4;
constexpr int kPasses = 6;  // a wild outlier hides the others' spread at first

/// To mean 0 and mean absolute value 1, cut; false when nothing varies.
bool prepare(std::span<double> values) noexcept {
  const auto size = static_cast<double>(values.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    double mean = 0;
    for (const double v : values) mean += v / size;
    double spread = 0;
    for (double& v : values) {
      v -= mean;
      spread += std::abs(v) / size;
    }
    if (!(spread > 0) || !std::isfinite(spread)) return false;
    for (double& v : values) v = std::clamp(v / spread, -kCut, kCut);
  }
  return true;
}

}  // namespace

std::uint32_t find_period(std::span<double> values) noexcept {
  const std::size_t n = values.size();
  if (n < 10 || !prepare(values)) return 0;
  const auto correlation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t i = lag; i < n; ++i) sum += values[i] * values[i - lag];
    return sum / static_cast<double>(n - lag);
  };
  const double power = correlation(0);
  std::size_t best = 0;
  double best_height = kHeight;
  double before = 1;
  double here = correlation(1) / power;
  bool dipped = false;
  for (std::size_t lag = 2; lag <= n * 2 / 5; ++lag) {
    const double next = correlation(lag) / power;
    dipped = dipped || next < kDip;
    const double needed = best == 0 ? best_height : best_height * kClearlyHigher;
    if (dipped && lag - 1 >= kLagMin && here > before && here >= next && here > needed) {
      best = lag - 1;
      best_height = here;
    }
    before = here;
    here = next;
  }
  return static_cast<std::uint32_t>(best);
}

}  // namespace lapwing::detect
