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

void path_lengths_here(float* HWY_RESTRICT mass, std::uint32_t depth, float few, float scale,
                       std::uint32_t* HWY_RESTRICT lengths) {
  using trees::kLanes;
  const Floats df;
  const Ints di;
  const std::size_t step = hn::Lanes(df);
  const std::size_t leaves = std::size_t{1} << depth;
  const auto zero = hn::Zero(df);
  for (std::size_t node = leaves - 1; node > 0; --node) {
    const float* children = mass + 2 * node * kLanes;
    for (std::size_t i = 0; i < kLanes; i += step) {
      hn::StoreU(hn::Add(hn::LoadU(df, children + i), hn::LoadU(df, children + kLanes + i)), df,
                 mass + node * kLanes + i);
    }
  }
  // A negative number stands for the result of a way that ended above.
  const auto result = [&](Float m, float volumes) {
    const auto here =
        hn::Mul(hn::Set(df, -volumes), hn::Add(hn::Set(df, 1), hn::Mul(hn::Set(df, scale), m)));
    return hn::IfThenElse(hn::Lt(m, zero), m, here);
  };
  float volumes = 1;
  for (std::size_t begin = 1; begin < leaves; begin *= 2, volumes *= 2) {
    for (std::size_t node = begin; node < 2 * begin; ++node) {
      float* children = mass + 2 * node * kLanes;
      for (std::size_t i = 0; i < kLanes; i += step) {
        const auto m = hn::LoadU(df, mass + node * kLanes + i);
        const auto goes_on = hn::Gt(m, hn::Set(df, few));
        const auto ended = result(m, volumes);
        for (float* child : {children + i, children + kLanes + i}) {
          hn::StoreU(hn::IfThenElse(goes_on, hn::LoadU(df, child), ended), df, child);
        }
      }
    }
  }
  const float* masses = mass + leaves * kLanes;
  const auto half = hn::Set(df, 0.5F);
  for (std::size_t i = 0; i < leaves * kLanes; i += step) {
    const auto length = log2_of(hn::Neg(result(hn::LoadU(df, masses + i), volumes)));
    const auto units = hn::Add(hn::Mul(length, hn::Set(df, trees::kUnit)), half);
    hn::StoreU(hn::ConvertTo(di, units), di, reinterpret_cast<std::int32_t*>(lengths + i));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect::halfspace_trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::halfspace_trees {

HWY_EXPORT(path_lengths_here);

void path_lengths(float* mass, std::uint32_t depth, float few, float scale,
                  std::uint32_t* lengths) noexcept {
  HWY_DYNAMIC_DISPATCH(path_lengths_here)(mass, depth, few, scale, lengths);
}

}  // namespace lapwing::detect::halfspace_trees
#endif  // HWY_ONCE
