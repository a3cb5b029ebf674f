// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/recent.hpp"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/auto/recent.cpp"
#include <hwy/foreach_target.h>  // compiles this file once for every kind of processor
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Doubles = hn::CappedTag<double, 4>;
constexpr std::size_t kLanes = 4;  // sums in parallel, whatever the vectors' width: same bits

HWY_INLINE double across(const double* lanes) {
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/// Of the `kCount` readings before `end`.
template <std::size_t kCount>
HWY_INLINE WindowStatistics measure(const double* end) {
  const Doubles doubles;
  const double* const window = end - kCount;
  const double first = window[0];
  const auto origin = hn::Set(doubles, first);
  double sums[kLanes];
  double squares[kLanes];
  double before[kLanes];
  double lows[kLanes];
  double highs[kLanes];
  for (std::size_t k = 0; k < kLanes; k += hn::Lanes(doubles)) {
    auto sum = hn::Zero(doubles);
    auto square = sum;
    auto earlier = sum;
    auto low = origin;
    auto high = origin;
    for (std::size_t i = k; i < kCount; i += kLanes) {
      const auto reading = hn::LoadU(doubles, window + i);
      const auto about = hn::Sub(reading, origin);
      sum = hn::Add(sum, about);
      square = hn::Add(square, hn::Mul(about, about));  // not fused: the same bits
      low = hn::IfThenElse(hn::Lt(reading, low), reading, low);
      high = hn::IfThenElse(hn::Lt(high, reading), reading, high);
      earlier = hn::Add(earlier, hn::Sub(hn::LoadU(doubles, window + i - kCount), origin));
    }
    hn::StoreU(sum, doubles, sums + k);
    hn::StoreU(square, doubles, squares + k);
    hn::StoreU(earlier, doubles, before + k);
    hn::StoreU(low, doubles, lows + k);
    hn::StoreU(high, doubles, highs + k);
  }
  constexpr double n = kCount;
  const double mean = across(sums) / n;
  return {.mean = mean + first,
          .low = std::min(std::min(lows[0], lows[1]), std::min(lows[2], lows[3])),
          .high = std::max(std::max(highs[0], highs[1]), std::max(highs[2], highs[3])),
          .spread = std::sqrt(std::max(0.0, across(squares) / n - mean * mean)),
          .change = mean - across(before) / n};
}

Recent::Windows measure_both(const double* end) {
  return {.short_one = measure<Recent::kShort>(end), .long_one = measure<Recent::kLong>(end)};
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {

HWY_EXPORT(measure_both);

Recent::Windows Recent::windows() const noexcept {
  return HWY_DYNAMIC_DISPATCH(measure_both)(&readings_[next_ + kReadings] + 1);
}

}  // namespace lapwing::detect
#endif
