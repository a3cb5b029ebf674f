// SPDX-License-Identifier: Apache-2.0
/// Compiled once for each instruction set; the machine's best is chosen at run time.
#include "shared/detect/one_class_svm/kernel.hpp"

#include "shared/detect/one_class_svm/task.hpp"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/one_class_svm/kernel.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::svm::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, 16>;

float distances(const Rows& rows, const float* query, std::span<const std::uint32_t> columns,
                float* squared) {
  const Lanes lanes;
  const std::size_t n = hn::Lanes(lanes);
  auto least = hn::Set(lanes, std::numeric_limits<float>::max());
  for (std::size_t at = 0; at < rows.padded(); at += 4 * n) {
    auto sum0 = hn::Zero(lanes);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for (const std::uint32_t column : columns) {
      const auto value = hn::Set(lanes, query[column]);
      const float* values = rows.column(column) + at;
      const auto off0 = hn::Sub(value, hn::LoadU(lanes, values));
      const auto off1 = hn::Sub(value, hn::LoadU(lanes, values + n));
      const auto off2 = hn::Sub(value, hn::LoadU(lanes, values + 2 * n));
      const auto off3 = hn::Sub(value, hn::LoadU(lanes, values + 3 * n));
      sum0 = hn::MulAdd(off0, off0, sum0);
      sum1 = hn::MulAdd(off1, off1, sum1);
      sum2 = hn::MulAdd(off2, off2, sum2);
      sum3 = hn::MulAdd(off3, off3, sum3);
    }
    hn::StoreU(sum0, lanes, squared + at);
    hn::StoreU(sum1, lanes, squared + at + n);
    hn::StoreU(sum2, lanes, squared + at + 2 * n);
    hn::StoreU(sum3, lanes, squared + at + 3 * n);
    least = hn::Min(least, hn::Min(hn::Min(sum0, sum1), hn::Min(sum2, sum3)));
  }
  return hn::GetLane(hn::MinOfLanes(lanes, least));
}

/// exp_negative() of task.hpp, lane by lane.
template <class V>
V exp_lanes(const Lanes lanes, V x) {
  const hn::RebindToSigned<Lanes> whole;
  x = hn::Max(x, hn::Set(lanes, kExponentMin));
  const auto n = hn::Round(hn::Mul(x, hn::Set(lanes, kLog2E)));
  auto r = hn::MulAdd(n, hn::Set(lanes, -kLn2High), x);
  r = hn::MulAdd(n, hn::Set(lanes, -kLn2Low), r);
  auto sum = hn::Set(lanes, kTaylor[0]);
  for (int i = 1; i < 7; ++i) sum = hn::MulAdd(sum, r, hn::Set(lanes, kTaylor[i]));
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

}  // namespace lapwing::detect::svm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::svm {

HWY_EXPORT(distances);
HWY_EXPORT(weigh);

namespace {

constexpr float kNowhere = 1e18F;

}  // namespace

Rows::Rows(std::span<const float> rows, std::size_t width)
    : width_(width),
      count_(rows.size() / width),
      padded_((count_ + kAtOnce - 1) / kAtOnce * kAtOnce),
      values_(padded_ * width, kNowhere) {
  for (std::size_t row = 0; row < count_; ++row) {
    for (std::size_t c = 0; c < width; ++c) values_[c * padded_ + row] = rows[row * width + c];
  }
}

float squared_distances(const Rows& rows, const float* query,
                        std::span<const std::uint32_t> columns, float* squared) noexcept {
  return HWY_DYNAMIC_DISPATCH(distances)(rows, query, columns, squared);
}

float weigh_kernels(float* squared, const float* weights, std::size_t size, float gamma,
                    float nearest) noexcept {
  return HWY_DYNAMIC_DISPATCH(weigh)(squared, weights, size, gamma, nearest);
}

}  // namespace lapwing::detect::svm
#endif
