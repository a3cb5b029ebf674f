// SPDX-License-Identifier: Apache-2.0
/// Compiled once for each instruction set; the machine's best is chosen at run time.
#include "shared/detect/one_class_svm/kernel.hpp"

#include "shared/detect/one_class_svm/feature_task.hpp"
#include "shared/detect/one_class_svm/task.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/one_class_svm/kernel.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::svm::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, 16>;

/// exp_negative() of task.hpp, lane by lane.
template <class V>
V exp_lanes(const Lanes lanes, V x) {
  const hn::RebindToSigned<Lanes> whole;
  x = hn::Max(x, hn::Set(lanes, kExponentMin));
  const auto n = hn::Round(hn::Mul(x, hn::Set(lanes, kLog2E)));
  auto r = hn::MulAdd(n, hn::Set(lanes, -kLn2High), x);
  r = hn::MulAdd(n, hn::Set(lanes, -kLn2Low), r);
  auto sum = hn::Set(lanes, taylor(0));
  for (int i = 1; i < 7; ++i) sum = hn::MulAdd(sum, r, hn::Set(lanes, taylor(i)));
  const auto exponent = hn::Add(hn::ConvertTo(whole, n), hn::Set(whole, 127));
  return hn::Mul(sum, hn::BitCast(lanes, hn::ShiftLeft<23>(exponent)));
}

float weigh(float* squared, const float* weights, std::size_t size, float gamma, float nearest) {
  const Lanes lanes;
  const std::size_t n = hn::Lanes(lanes);
  const auto rate = hn::Set(lanes, -gamma);
  const auto from = hn::Set(lanes, nearest);
  auto even = hn::Zero(lanes);
  auto odd = even;
  for (std::size_t at = 0; at < size; at += 2 * n) {
    const auto one = exp_lanes(lanes, hn::Mul(rate, hn::Sub(hn::LoadU(lanes, squared + at), from)));
    const auto two =
        exp_lanes(lanes, hn::Mul(rate, hn::Sub(hn::LoadU(lanes, squared + at + n), from)));
    hn::StoreU(one, lanes, squared + at);
    hn::StoreU(two, lanes, squared + at + n);
    even = hn::MulAdd(one, hn::LoadU(lanes, weights + at), even);
    odd = hn::MulAdd(two, hn::LoadU(lanes, weights + at + n), odd);
  }
  return hn::GetLane(hn::SumOfLanes(lanes, hn::Add(even, odd)));
}

/// cosine() of feature_task.hpp, lane by lane.
template <class V>
V cosine_lanes(const Lanes lanes, V x) {
  const auto turns = hn::Round(hn::Mul(x, hn::Set(lanes, kPerTurn)));
  auto h = hn::MulAdd(turns, hn::Set(lanes, -kPiHigh), hn::Mul(x, hn::Set(lanes, 0.5F)));
  h = hn::MulAdd(turns, hn::Set(lanes, -kPiLow), h);
  h = hn::Max(hn::Min(h, hn::Set(lanes, kHalfAngleMax)), hn::Set(lanes, -kHalfAngleMax));
  const auto square = hn::Mul(h, h);
  auto sum = hn::Set(lanes, sine_term(0));
  for (int i = 1; i < 7; ++i) sum = hn::MulAdd(sum, square, hn::Set(lanes, sine_term(i)));
  const auto sine = hn::Mul(sum, h);
  return hn::MulAdd(hn::Mul(sine, hn::Set(lanes, -2)), sine, hn::Set(lanes, 1));
}

float cosines(const neighbours::PackedRows& directions, const float* query, const float* phases,
              const float* amplitudes) {
  const Lanes lanes;
  auto sum = hn::Zero(lanes);
  for (std::size_t at = 0; at < directions.padded(); at += hn::Lanes(lanes)) {
    auto angle = hn::LoadU(lanes, phases + at);
    for (std::size_t c = 0; c < directions.width(); ++c) {
      const auto direction = hn::LoadU(lanes, directions.column(c) + at);
      angle = hn::MulAdd(hn::Set(lanes, query[c]), direction, angle);
    }
    sum = hn::MulAdd(cosine_lanes(lanes, angle), hn::LoadU(lanes, amplitudes + at), sum);
  }
  return hn::GetLane(hn::SumOfLanes(lanes, sum));
}

}  // namespace lapwing::detect::svm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::svm {

HWY_EXPORT(weigh);
HWY_EXPORT(cosines);

float weigh_kernels(float* squared, const float* weights, std::size_t size, float gamma,
                    float nearest) noexcept {
  return HWY_DYNAMIC_DISPATCH(weigh)(squared, weights, size, gamma, nearest);
}

float sum_cosines(const neighbours::PackedRows& directions, const float* query, const float* phases,
                  const float* amplitudes) noexcept {
  return HWY_DYNAMIC_DISPATCH(cosines)(directions, query, phases, amplitudes);
}

}  // namespace lapwing::detect::svm
#endif
