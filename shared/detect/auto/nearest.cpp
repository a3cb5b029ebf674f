// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/nearest.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/auto/nearest.cpp"
#include <hwy/foreach_target.h>  // compiles this file once for every kind of processor
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

Nearest nearest(const std::int8_t* codes, const float* scales, std::size_t count, std::size_t used,
                const std::int16_t* query, std::size_t dimensions, float query_scale) {
  const auto centroids = static_cast<std::uint32_t>(used);
  const std::uint32_t stream = 0;
  return codebooks::nearest_of({codes, scales, &centroids, static_cast<std::uint32_t>(count),
                                static_cast<std::uint32_t>(dimensions)},
                               {query, &query_scale, &stream}, 0, 0, 1);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 8>;
using Ints = hn::Rebind<std::int32_t, Floats>;
constexpr std::size_t kVectors = 4;  // of centroids at a time: sums enough to hide their latency

/// `take(k, with_query, with_itself)` gets, of the kVectors vectors of centroids at `codes`, the
/// sums of codes times the query's and times themselves. Two dimensions at once.
template <class Take>
HWY_INLINE void products(const std::int8_t* codes, std::size_t count, const std::int16_t* query,
                         std::size_t dimensions, const Take& take) {
  const Floats floats;
  const Ints ints;
  const hn::Repartition<std::int16_t, Ints> shorts;
  const hn::Rebind<std::int8_t, decltype(shorts)> bytes;
  const auto zero = hn::Zero(ints);
  auto q0 = zero, q1 = zero, q2 = zero, q3 = zero;  // the sums, some processors' in two parts
  auto r0 = zero, r1 = zero, r2 = zero, r3 = zero;
  auto s0 = zero, s1 = zero, s2 = zero, s3 = zero;
  auto t0 = zero, t1 = zero, t2 = zero, t3 = zero;
  for (std::size_t i = 0; i < dimensions; i += 2, codes += 2 * count) {
    std::int32_t both = 0;
    __builtin_memcpy(&both, query + i, sizeof both);
    const auto q = hn::BitCast(shorts, hn::Set(ints, both));
    const auto add = [&](std::size_t k, auto& with_query, auto& with_query_too, auto& with_itself,
                         auto& with_itself_too) HWY_ATTR {
      const auto pairs = hn::PromoteTo(shorts, hn::LoadU(bytes, codes + k * hn::Lanes(bytes)));
      with_query = hn::ReorderWidenMulAccumulate(ints, pairs, q, with_query, with_query_too);
      with_itself = hn::ReorderWidenMulAccumulate(ints, pairs, pairs, with_itself, with_itself_too);
    };
    add(0, q0, r0, s0, t0);
    add(1, q1, r1, s1, t1);
    add(2, q2, r2, s2, t2);
    add(3, q3, r3, s3, t3);
  }
  const auto real = [&](auto sum, auto too) HWY_ATTR {
    return hn::ConvertTo(floats, hn::RearrangeToOddPlusEven(sum, too));
  };
  take(0, real(q0, r0), real(s0, t0));
  take(1, real(q1, r1), real(s1, t1));
  take(2, real(q2, r2), real(s2, t2));
  take(3, real(q3, r3), real(s3, t3));
}

Nearest nearest(const std::int8_t* codes, const float* scales, std::size_t count, std::size_t used,
                const std::int16_t* query, std::size_t dimensions, float query_scale) {
  const Floats floats;
  const std::size_t lanes = hn::Lanes(floats);
  const auto beyond = hn::Set(floats, static_cast<float>(used));
  const auto twice = hn::Set(floats, 2 * query_scale);
  auto smallest = hn::Set(floats, codebooks::kFar);
  auto where = hn::Zero(floats);
  for (std::size_t c = 0; c < used; c += kVectors * lanes) {
    const auto take = [&](std::size_t k, auto with_query, auto with_itself) HWY_ATTR {
      const auto scale = hn::LoadU(floats, scales + c + k * lanes);
      // Not fused: the rounding is the same on every processor.
      const auto square =
          hn::Mul(scale, hn::Sub(hn::Mul(scale, with_itself), hn::Mul(twice, with_query)));
      const auto index = hn::Iota(floats, static_cast<float>(c + k * lanes));
      const auto better = hn::And(hn::Lt(square, smallest), hn::Lt(index, beyond));
      smallest = hn::IfThenElse(better, square, smallest);
      where = hn::IfThenElse(better, index, where);
    };
    products(codes + 2 * c, count, query, dimensions, take);
  }
  // Of the nearest ones the first.
  const auto nearest = hn::MinOfLanes(floats, smallest);
  const auto first =
      hn::MinOfLanes(floats, hn::IfThenElse(hn::Eq(smallest, nearest), where, beyond));
  return {.centroid = static_cast<std::uint32_t>(hn::GetLane(first)),
          .square = hn::GetLane(nearest)};
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {

HWY_EXPORT(nearest);

Nearest nearest_centroid(const std::int8_t* codes, std::span<const float> scales, std::size_t used,
                         std::span<const std::int16_t> query, float query_scale) noexcept {
  return HWY_DYNAMIC_DISPATCH(nearest)(codes, scales.data(), scales.size(), used, query.data(),
                                       query.size(), query_scale);
}

}  // namespace lapwing::detect
#endif
