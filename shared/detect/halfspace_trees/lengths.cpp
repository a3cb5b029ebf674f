// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/lengths.hpp"

#include "shared/detect/trees/task.hpp"

// Highway compiles this file once for every instruction set worth having and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/halfspace_trees/lengths.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::halfspace_trees {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, trees::kLanes>;
using Ints = hn::RebindToSigned<Floats>;
using Float = hn::Vec<Floats>;

/// To base 2, of x >= 1, to 2e-5: the series of the inverse hyperbolic tangent.
HWY_INLINE Float log2_of(Float x) {
  const Floats df;
  const Ints di;
  const auto one = hn::Set(df, 1);
  const auto bits = hn::BitCast(di, x);
  const auto exponent = hn::ConvertTo(df, hn::Sub(hn::ShiftRight<23>(bits), hn::Set(di, 127)));
  const auto m =
      hn::BitCast(df, hn::Or(hn::And(bits, hn::Set(di, 0x007FFFFF)), hn::Set(di, 0x3F800000)));
  const auto s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const auto q = hn::Mul(s, s);
  auto sum = hn::Mul(q, hn::Set(df, 1.0F / 7));
  sum = hn::Mul(q, hn::Add(hn::Set(df, 1.0F / 5), sum));
  sum = hn::Mul(q, hn::Add(hn::Set(df, 1.0F / 3), sum));
  constexpr float kScale = 2.885390082F;  // 2 / ln 2
  return hn::Add(exponent, hn::Mul(hn::Mul(hn::Set(df, kScale), s), hn::Add(one, sum)));
}

void path_lengths_here(const float* HWY_RESTRICT leaves, float* HWY_RESTRICT inner,
                       std::uint32_t depth, float few, float scale,
                       std::uint32_t* HWY_RESTRICT lengths) {
  using trees::kLanes;
  const Floats df;
  const Ints di;
  const std::size_t step = hn::Lanes(df);
  const std::size_t last = std::size_t{1} << (depth - 1);  // first node above the leaves
  const auto sum_children = [&](std::size_t node, const float* children) {
    for (std::size_t i = 0; i < kLanes; i += step) {
      hn::StoreU(hn::Add(hn::LoadU(df, children + i), hn::LoadU(df, children + kLanes + i)), df,
                 inner + node * kLanes + i);
    }
  };
  for (std::size_t i = 0; i < last; ++i) sum_children(last + i, leaves + 2 * i * kLanes);
  for (std::size_t node = last - 1; node > 0; --node) {
    sum_children(node, inner + 2 * node * kLanes);
  }
  // A negative number stands for the result of a way that ended above.
  const auto result = [&](Float m, float volumes) {
    const auto here =
        hn::Mul(hn::Set(df, -volumes), hn::Add(hn::Set(df, 1), hn::Mul(hn::Set(df, scale), m)));
    return hn::IfThenElse(hn::Lt(m, hn::Zero(df)), m, here);
  };
  // What a node's children are worth: their own mass, or the result where the way ends here.
  const auto descend = [&](std::size_t node, float volumes, const float* children,
                           const auto& put) {
    for (std::size_t i = 0; i < kLanes; i += step) {
      const auto m = hn::LoadU(df, inner + node * kLanes + i);
      const auto goes_on = hn::Gt(m, hn::Set(df, few));
      const auto ended = result(m, volumes);
      for (const std::size_t at : {i, kLanes + i}) {
        put(at, hn::IfThenElse(goes_on, hn::LoadU(df, children + at), ended));
      }
    }
  };
  float volumes = 1;
  for (std::size_t node = 1; node < last; ++node) {
    if (node == std::size_t{2} * static_cast<std::size_t>(volumes)) volumes *= 2;
    float* children = inner + 2 * node * kLanes;
    descend(node, volumes, children,
            [&](std::size_t at, Float m) { hn::StoreU(m, df, children + at); });
  }
  volumes = static_cast<float>(last);
  for (std::size_t i = 0; i < last; ++i) {
    auto* out = reinterpret_cast<std::int32_t*>(lengths + 2 * i * kLanes);
    descend(last + i, volumes, leaves + 2 * i * kLanes, [&](std::size_t at, Float m) {
      const auto length = log2_of(hn::Neg(result(m, 2 * volumes)));
      const auto units = hn::Add(hn::Mul(length, hn::Set(df, trees::kUnit)), hn::Set(df, 0.5F));
      hn::StoreU(hn::ConvertTo(di, units), di, out + at);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect::halfspace_trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::halfspace_trees {

HWY_EXPORT(path_lengths_here);

void path_lengths(const float* leaves, float* inner, std::uint32_t depth, float few, float scale,
                  std::uint32_t* lengths) noexcept {
  HWY_DYNAMIC_DISPATCH(path_lengths_here)(leaves, inner, depth, few, scale, lengths);
}

}  // namespace lapwing::detect::halfspace_trees
#endif  // HWY_ONCE
