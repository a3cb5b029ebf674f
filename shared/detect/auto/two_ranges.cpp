// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/two_ranges.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/auto/two_ranges.cpp"
#include <hwy/foreach_target.h>  // compiles this file once for every kind of processor
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr double kExcessMax = 10;
constexpr double kNormalGrowth = 0.15;  // widths a range grows by in one live row
constexpr double kKnownGrowth = 0.5;

using Doubles = hn::CappedTag<double, 4>;

// Not the processors' own: those differ in which 0 of two with different signs they take.
template <class V>
HWY_INLINE V smaller(V a, V b) {
  return hn::IfThenElse(hn::Lt(b, a), b, a);
}
template <class V>
HWY_INLINE V larger(V a, V b) {
  return hn::IfThenElse(hn::Lt(a, b), b, a);
}
template <class V>
HWY_INLINE V towards(V from, V to, V pace) {
  return hn::Add(from, hn::Mul(pace, hn::Sub(to, from)));
}
/// The range takes `value` in, but grows by at most `by`.
template <class V>
HWY_INLINE void widen(V& low, V& high, V value, V by) {
  high = larger(high, smaller(value, hn::Add(high, by)));
  low = smaller(low, larger(value, hn::Sub(low, by)));
}

void push(const TwoRanges::Row& values, const TwoRanges::Rules& rules, Stage stage,
          const TwoRanges::Paces& paces, bool fault, TwoRanges::State& state,
          TwoRanges::Excess& excess) {
  const Doubles doubles;
  const auto zero = hn::Zero(doubles);
  const auto set = [&](double value) HWY_ATTR { return hn::Set(doubles, value); };
  for (std::size_t i = 0; i < TwoRanges::kCount; i += hn::Lanes(doubles)) {
    const auto load = [&](const TwoRanges::Row& row)
                          HWY_ATTR { return hn::LoadU(doubles, row.data() + i); };
    const auto value = load(values);
    const auto says = hn::Eq(value, value);
    if (hn::AllFalse(doubles, says)) continue;
    const auto finest = load(rules.finest);
    const auto rows = hn::Add(load(state.rows), set(1));
    const auto first = hn::Eq(rows, set(1));
    const auto begun = [&](const TwoRanges::Row& row)
                           HWY_ATTR { return hn::IfThenElse(first, value, load(row)); };
    auto low = begun(state.low), high = begun(state.high);
    auto known_low = begun(state.known_low), known_high = begun(state.known_high);
    auto mean = begun(state.mean);

    if (stage != Stage::learn) {
      const auto high_only = hn::Lt(zero, load(rules.high_only));
      const auto beyond = [&](auto from, auto to) HWY_ATTR {
        const auto below = hn::IfThenElse(high_only, zero, hn::Sub(from, value));
        return larger(below, hn::Sub(value, to));
      };
      const auto out = beyond(low, high);
      if (!hn::AllFalse(doubles, hn::Lt(zero, out))) {
        const auto in_widths = [&](auto distance, auto from, auto to) HWY_ATTR {
          const auto widths = hn::Div(distance, hn::Add(hn::Sub(to, from), finest));
          return hn::IfThenElse(hn::Lt(zero, distance), smaller(widths, set(kExcessMax)), zero);
        };
        const auto normal = in_widths(out, low, high);
        const auto known = in_widths(beyond(known_low, known_high), known_low, known_high);
        const auto above = hn::Lt(high, value);
        hn::StoreU(known, doubles, excess.known.data() + i);
        hn::StoreU(hn::IfThenElse(above, normal, hn::Neg(normal)), doubles,
                   excess.normal.data() + i);
        excess.any = true;
      }
    }

    if (stage != Stage::live) {
      low = smaller(low, value);
      high = larger(high, value);
      known_low = low;
      known_high = high;
      mean = hn::Add(mean, hn::Div(hn::Sub(value, mean), rows));
    } else {
      if (!fault) {
        low = towards(low, mean, set(paces.forget));
        high = towards(high, mean, set(paces.forget));
        const auto by = hn::Add(hn::Mul(set(kNormalGrowth), hn::Sub(high, low)), finest);
        widen(low, high, value, by);
        // Within the range: a range that forgets towards a mean beyond it would leave what is
        // normal.
        auto pace = set(paces.mean);
        if (!hn::AllTrue(doubles, hn::Lt(set(paces.mean_rows), rows))) {
          pace = larger(hn::Div(set(1), rows), pace);
        }
        mean = towards(mean, smaller(larger(value, low), high), pace);
      }
      known_low = towards(known_low, low, set(paces.fade));
      known_high = towards(known_high, high, set(paces.fade));
      const auto by = hn::Add(hn::Mul(set(kKnownGrowth), hn::Sub(known_high, known_low)), finest);
      widen(known_low, known_high, value, by);
      const auto mirrored = hn::Lt(zero, load(rules.mirrored));
      widen(known_low, known_high, hn::IfThenElse(mirrored, hn::Neg(value), known_low), by);
      known_low = smaller(known_low, low);
      known_high = larger(known_high, high);
    }
    const auto keep = [&](auto now, TwoRanges::Row& row) HWY_ATTR {
      hn::StoreU(hn::IfThenElse(says, now, load(row)), doubles, row.data() + i);
    };
    keep(low, state.low);
    keep(high, state.high);
    keep(known_low, state.known_low);
    keep(known_high, state.known_high);
    keep(mean, state.mean);
    keep(rows, state.rows);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect {
namespace {

constexpr double kForget = 0.02;    // of the way to the mean, per warm-up
constexpr double kKnownMemory = 5;  // warm-ups until what a fault showed is let go
constexpr double kMeanMemory = 4;   // warm-ups

}  // namespace

HWY_EXPORT(push);

TwoRanges::Paces::Paces(double rows) noexcept
    : memory(rows),
      forget(kForget / memory),
      fade(1 / (kKnownMemory * memory)),
      mean(1 / (kMeanMemory * memory)),
      mean_rows(kMeanMemory * memory + 1) {}

TwoRanges::Excess TwoRanges::push(const Row& values, const Rules& rules, Stage stage,
                                  const Paces& paces, bool fault) noexcept {
  Excess excess;
  HWY_DYNAMIC_DISPATCH(push)(values, rules, stage, paces, fault, state_, excess);
  return excess;
}

}  // namespace lapwing::detect
#endif
