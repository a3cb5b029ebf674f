// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/describe.hpp"

#include <cmath>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/auto/describe.cpp"
#include <hwy/foreach_target.h>  // compiles this file once for every kind of processor
#include <hwy/highway.h>

// Plain loops over lanes, which the compiler makes vectors of, as wide as the processor has.
HWY_BEFORE_NAMESPACE();
namespace lapwing::detect {
namespace HWY_NAMESPACE {

constexpr std::size_t kLanes = 8;     // sums in parallel, whatever the vectors' width: same bits
constexpr float kQueryMax = 1023;     // whole numbers: see nearest_centroid()
constexpr float kRound = 12'582'912;  // 1.5 * 2^23: added and taken away, it rounds to whole ones

/// Sum of of(i).
template <std::size_t kCount, class Of>
HWY_INLINE float sum(Of of) {
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < kCount; i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) lanes[k] += of(i + k);
  }
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
         ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/// Sizes are compared as the whole numbers that their bits are: the same order, and vectors have
/// a largest one of those.
template <std::size_t kCount>
HWY_INLINE float largest_size(const float* values) {
  std::int32_t largest = 0x3089705F;  // 1e-9
  for (std::size_t i = 0; i < kCount; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7FFFFFFF;
    largest = largest < bits ? bits : largest;
  }
  float size = 0;
  __builtin_memcpy(&size, &largest, sizeof size);
  return size;
}

template <std::size_t d>
HWY_INLINE void describe_of(const float* HWY_RESTRICT blocks, const float* HWY_RESTRICT weights,
                            View view, CodedWindow& window) {
  float* HWY_RESTRICT values = window.values.data();
  if (view == View::shape) {
    constexpr auto n = static_cast<float>(d);
    const float mean = sum<d>([=](std::size_t i) { return blocks[i]; }) / n;
    const float spread =
        sum<d>([=](std::size_t i) { return (blocks[i] - mean) * (blocks[i] - mean); });
    const float unit = 1 / (std::sqrt(spread / n) + 1);
    for (std::size_t i = 0; i < d; ++i) values[i] = (blocks[i] - mean) * unit * weights[i];
  } else {
    for (std::size_t i = 0; i < d; ++i) values[i] = blocks[i] * weights[i];
  }

  std::int16_t* HWY_RESTRICT query = window.query.data();
  float whole[d];
  const float scale = largest_size<d>(values) / kQueryMax;
  const float per_unit = 1 / scale;
  for (std::size_t i = 0; i < d; ++i) whole[i] = values[i] * per_unit + kRound - kRound;
  for (std::size_t i = 0; i < d; ++i) query[i] = static_cast<std::int16_t>(whole[i]);
  window.query_scale = scale;
  const auto square = [&whole](std::size_t i) { return whole[i] * whole[i]; };
  window.square = sum<d>(square) * scale * scale;
}

void describe(const float* blocks, const float* weights, std::size_t d, View view,
              CodedWindow& window) {
  switch (d) {  // loops of a known length need no tails
    case 16:
      return describe_of<16>(blocks, weights, view, window);
    case 32:
      return describe_of<32>(blocks, weights, view, window);
    default:
      return describe_of<48>(blocks, weights, view, window);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {

HWY_EXPORT(describe);

void describe_window(std::span<const float> blocks, std::span<const float> weights, View view,
                     CodedWindow& window) noexcept {
  HWY_DYNAMIC_DISPATCH(describe)(blocks.data(), weights.data(), blocks.size(), view, window);
}

}  // namespace lapwing::detect
#endif
