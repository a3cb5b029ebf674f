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

/// Four vectors of centroids at a time: enough sums in flight to hide the latency of each.
Nearest nearest(const std::int8_t* codes, const float* scales, std::size_t count, std::size_t used,
                const float* query, std::size_t dimensions, float query_scale) {
  const hn::CappedTag<float, 8> floats;
  const hn::Rebind<std::int32_t, decltype(floats)> ints;
  const hn::Rebind<std::int8_t, decltype(floats)> bytes;
  const std::size_t lanes = hn::Lanes(floats);
  const auto beyond = hn::Set(floats, static_cast<float>(used));
  const auto far = hn::Set(floats, codebooks::kFar);
  const auto twice = hn::Set(floats, 2 * query_scale);
  auto smallest = far;
  auto where = hn::Zero(floats);
  for (std::size_t c = 0; c < used; c += 4 * lanes) {
    auto q0 = hn::Zero(floats), q1 = q0, q2 = q0, q3 = q0;
    auto s0 = q0, s1 = q0, s2 = q0, s3 = q0;
    const std::int8_t* at = codes + c;
    for (std::size_t i = 0; i < dimensions; ++i, at += count) {
      const auto load = [&](std::size_t k) {
        return hn::ConvertTo(floats, hn::PromoteTo(ints, hn::LoadU(bytes, at + k * lanes)));
      };
      const auto q = hn::Set(floats, query[i]);
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
    const auto take = [&](std::size_t k, auto with_query, auto with_itself) {
      const auto scale = hn::LoadU(floats, scales + c + k * lanes);
      // Not fused: the rounding is the same on every processor.
      const auto square =
          hn::Mul(scale, hn::Sub(hn::Mul(scale, with_itself), hn::Mul(twice, with_query)));
      const auto index = hn::Iota(floats, static_cast<float>(c + k * lanes));
      const auto better = hn::And(hn::Lt(square, smallest), hn::Lt(index, beyond));
      smallest = hn::IfThenElse(better, square, smallest);
      where = hn::IfThenElse(better, index, where);
    };
    take(0, q0, s0);
    take(1, q1, s1);
    take(2, q2, s2);
    take(3, q3, s3);
  }
  float square_of[8];
  float index_of[8];
  hn::StoreU(smallest, floats, square_of);
  hn::StoreU(where, floats, index_of);
  Nearest found{.centroid = 0, .square = codebooks::kFar};
  float index = 0;
  for (std::size_t k = 0; k < lanes; ++k) {
    const bool better =
        square_of[k] < found.square || (square_of[k] == found.square && index_of[k] < index);
    if (!better) continue;
    index = index_of[k];
    found = {.centroid = static_cast<std::uint32_t>(index), .square = square_of[k]};
  }
  return found;
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {

HWY_EXPORT(nearest);

Nearest nearest_centroid(const std::int8_t* codes, std::span<const float> scales, std::size_t used,
                         std::span<const float> query, float query_scale) noexcept {
  return HWY_DYNAMIC_DISPATCH(nearest)(codes, scales.data(), scales.size(), used, query.data(),
                                       query.size(), query_scale);
}

}  // namespace lapwing::detect
#endif
