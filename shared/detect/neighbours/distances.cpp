// SPDX-License-Identifier: Apache-2.0
/// Compiled once for each instruction set; the machine's best is chosen at run time.
#include "shared/detect/neighbours/distances.hpp"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/neighbours/distances.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::neighbours::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

float distances(const PackedRows& rows, const float* query, std::span<const std::uint32_t> columns,
                float* squared) {
  const hn::CappedTag<float, 16> lanes;
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

}  // namespace lapwing::detect::neighbours::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::neighbours {

HWY_EXPORT(distances);

namespace {

constexpr float kNowhere = 1e18F;

}  // namespace

PackedRows::PackedRows(std::span<const float> rows, std::size_t width)
    : width_(width),
      count_(rows.size() / width),
      padded_((count_ + kAtOnce - 1) / kAtOnce * kAtOnce),
      values_(padded_ * width, kNowhere) {
  for (std::size_t row = 0; row < count_; ++row) {
    for (std::size_t c = 0; c < width; ++c) values_[c * padded_ + row] = rows[row * width + c];
  }
}

float squared_distances(const PackedRows& rows, const float* query,
                        std::span<const std::uint32_t> columns, float* squared) noexcept {
  return HWY_DYNAMIC_DISPATCH(distances)(rows, query, columns, squared);
}

}  // namespace lapwing::detect::neighbours
#endif
