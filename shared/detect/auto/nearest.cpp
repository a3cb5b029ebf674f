// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/nearest.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/auto/nearest.cpp"
#include <hwy/foreach_target.h>  // compiles this file once for every kind of processor
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 8>;
using Ints = hn::Rebind<std::int32_t, Floats>;
constexpr std::size_t kVectors = 4;  // of centroids at a time: sums enough to hide their latency

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

/// `take(k, with_query, with_itself)` gets, of the kVectors vectors of centroids at `codes`, the
/// sums of codes times the query's and times themselves. Two dimensions at once: their codes side
/// by side as 16 bits, multiplied and added in pairs.
template <class Take>
HWY_INLINE void products(const std::int8_t* codes, std::size_t count, const std::int16_t* query,
                         std::size_t dimensions, const Take& take) {
  const hn::FixedTag<std::int8_t, 16> bytes;
  const hn::FixedTag<std::int16_t, 16> shorts;
  const Ints ints;
  const Floats floats;
  auto q0 = hn::Zero(ints), q1 = q0, q2 = q0, q3 = q0;
  auto s0 = q0, s1 = q0, s2 = q0, s3 = q0;
  for (std::size_t i = 0; i < dimensions; i += 2, codes += 2 * count) {
    std::int32_t both = 0;
    __builtin_memcpy(&both, query + i, sizeof both);
    const auto q = hn::BitCast(shorts, hn::Set(ints, both));
    const auto add = [&](auto pairs, auto& with_query, auto& with_itself) {
      const auto wide = hn::PromoteTo(shorts, pairs);
      with_query = hn::Add(with_query, hn::Vec<Ints>{_mm256_madd_epi16(wide.raw, q.raw)});
      with_itself = hn::Add(with_itself, hn::Vec<Ints>{_mm256_madd_epi16(wide.raw, wide.raw)});
    };
    const auto a0 = hn::LoadU(bytes, codes), b0 = hn::LoadU(bytes, codes + count);
    const auto a1 = hn::LoadU(bytes, codes + 16), b1 = hn::LoadU(bytes, codes + count + 16);
    add(hn::InterleaveLower(bytes, a0, b0), q0, s0);
    add(hn::InterleaveUpper(bytes, a0, b0), q1, s1);
    add(hn::InterleaveLower(bytes, a1, b1), q2, s2);
    add(hn::InterleaveUpper(bytes, a1, b1), q3, s3);
  }
  const auto real = [&](auto sum) { return hn::ConvertTo(floats, sum); };
  take(0, real(q0), real(s0));
  take(1, real(q1), real(s1));
  take(2, real(q2), real(s2));
  take(3, real(q3), real(s3));
}

#else

/// As above, one dimension at a time.
template <class Take>
HWY_INLINE void products(const std::int8_t* codes, std::size_t count, const std::int16_t* query,
                         std::size_t dimensions, const Take& take) {
  const Floats floats;
  const Ints ints;
  const hn::Rebind<std::int8_t, Floats> bytes;
  auto q0 = hn::Zero(floats), q1 = q0, q2 = q0, q3 = q0;
  auto s0 = q0, s1 = q0, s2 = q0, s3 = q0;
  for (std::size_t i = 0; i < dimensions; ++i, codes += count) {
    const auto load = [&](std::size_t k) {
      const auto whole = hn::LoadU(bytes, codes + k * hn::Lanes(floats));
      return hn::ConvertTo(floats, hn::PromoteTo(ints, whole));
    };
    const auto q = hn::Set(floats, static_cast<float>(query[i]));
    const auto c0 = load(0), c1 = load(1), c2 = load(2), c3 = load(3);
    q0 = hn::MulAdd(c0, q, q0);
    q1 = hn::MulAdd(c1, q, q1);
    q2 = hn::MulAdd(c2, q, q2);
    q3 = hn::MulAdd(c3, q, q3);
    s0 = hn::MulAdd(c0, c0, s0);
    s1 = hn::MulAdd(c1, c1, s1);
    s2 = hn::MulAdd(c2, c2, s2);
    s3 = hn::MulAdd(c3, c3, s3);
  }
  take(0, q0, s0);
  take(1, q1, s1);
  take(2, q2, s2);
  take(3, q3, s3);
}

#endif

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
    products(codes + c, count, query, dimensions, take);
  }
  // Of the nearest ones the first.
  const auto nearest = hn::MinOfLanes(floats, smallest);
  const auto first =
      hn::MinOfLanes(floats, hn::IfThenElse(hn::Eq(smallest, nearest), where, beyond));
  return {.centroid = static_cast<std::uint32_t>(hn::GetLane(first)),
          .square = hn::GetLane(nearest)};
}

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
