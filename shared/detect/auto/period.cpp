// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/period.hpp"

#include <algorithm>
#include <vector>

namespace lapwing::detect {
namespace {

constexpr std::size_t kLagMin = 3;
constexpr double kHeightMin = 0.2;
constexpr double kHigher = 1.05;
constexpr std::size_t kLanes = 16;

/// In independent sums, so that the compiler may use vectors.
double product(const float* a, const float* b, std::size_t count) {
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

}  // namespace

std::size_t find_period(std::span<const float> values, std::size_t lag_max) {
  const std::size_t n = values.size();
  lag_max = std::min(lag_max, n / 2);
  if (lag_max <= kLagMin) return 0;
  double mean = 0;
  for (const float v : values) mean += static_cast<double>(v);
  mean /= static_cast<double>(n);
  std::vector<float> centred(n);
  std::ranges::transform(values, centred.begin(), [mean](float v) {
    return static_cast<float>(static_cast<double>(v) - mean);
  });
  const double power = product(centred.data(), centred.data(), n) / static_cast<double>(n);
  if (!(power > 1e-12)) return 0;
  const auto height = [&](std::size_t lag) {
    return product(centred.data() + lag, centred.data(), n - lag) / static_cast<double>(n - lag) /
           power;
  };
  std::size_t best = 0;
  double best_height = kHeightMin;
  double before = height(kLagMin - 1);
  double here = height(kLagMin);
  for (std::size_t lag = kLagMin; lag < lag_max; ++lag) {
    const double next = height(lag + 1);
    if (here > before && here >= next && here > kHigher * best_height) {
      best = lag;
      best_height = here;
    }
    before = here;
    here = next;
  }
  return best;
}

}  // namespace lapwing::detect
