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
void products(const std::int8_t* codes, std::size_t count, const float* query,
              std::size_t dimensions, float* with_query, float* with_itself) {
  const hn::CappedTag<float, 8> floats;
  const hn::Rebind<std::int32_t, decltype(floats)> ints;
  const hn::Rebind<std::int8_t, decltype(floats)> bytes;
  const std::size_t lanes = hn::Lanes(floats);
  for (std::size_t c = 0; c < count; c += 4 * lanes) {
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
    hn::StoreU(q0, floats, with_query + c);
    hn::StoreU(q1, floats, with_query + c + lanes);
    hn::StoreU(q2, floats, with_query + c + 2 * lanes);
    hn::StoreU(q3, floats, with_query + c + 3 * lanes);
    hn::StoreU(s0, floats, with_itself + c);
    hn::StoreU(s1, floats, with_itself + c + lanes);
    hn::StoreU(s2, floats, with_itself + c + 2 * lanes);
    hn::StoreU(s3, floats, with_itself + c + 3 * lanes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {

HWY_EXPORT(products);

void code_products(const std::int8_t* codes, std::size_t count, std::span<const float> query,
                   float* with_query, float* with_itself) noexcept {
  HWY_DYNAMIC_DISPATCH(products)
  (codes, count, query.data(), query.size(), with_query, with_itself);
}

}  // namespace lapwing::detect
#endif
