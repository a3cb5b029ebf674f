// SPDX-License-Identifier: Apache-2.0
/// The search, compiled once for each instruction set; the machine's best is chosen at run time.
#include "shared/detect/neighbours/index.hpp"
#include "shared/detect/neighbours/task.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/neighbours/find_nearest.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::neighbours::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, kLanesMax>;

constexpr std::size_t kFirstLeaves = 2;  // scanned before the rest: they make the limit small

/// Squared distance from the query to each leaf's box; rounds no further up than a row's own.
void bound_leaves(const Index& index, Search& search) {
  const Lanes lanes;
  const auto zero = hn::Zero(lanes);
  for (std::size_t at = 0; at < index.leaves(); at += hn::Lanes(lanes)) {
    auto sum = zero;
    for (std::size_t i = 0; i < search.present; ++i) {
      const std::size_t column = search.columns[i];
      const auto query = hn::Set(lanes, search.query[column]);
      const auto below = hn::Sub(hn::LoadU(lanes, index.lowest(column) + at), query);
      const auto above = hn::Sub(query, hn::LoadU(lanes, index.highest(column) + at));
      const auto gap = hn::Max(hn::Max(below, above), zero);
      sum = hn::MulAdd(gap, gap, sum);
    }
    hn::StoreU(sum, lanes, &search.boxes[at]);
  }
}

/// Keeps those of the rows from `first_row` on that are nearer than the farthest kept.
template <class V>
void keep(const Lanes lanes, V squared, std::size_t first_row, Search& search) {
  const auto count = static_cast<std::uint32_t>(search.squared.size());
  const auto nearer = hn::Lt(squared, hn::Set(lanes, search.squared[count - 1]));
  std::uint64_t bits = 0;
  hn::StoreMaskBits(lanes, nearer, reinterpret_cast<std::uint8_t*>(&bits));
  if (bits == 0) return;
  HWY_ALIGN float found[kLanesMax];
  hn::Store(squared, lanes, found);
  for (; bits != 0; bits &= bits - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(bits));
    if (found[i] < search.squared[count - 1]) {
      keep_nearest(search.squared.data(), search.rows.data(), count, found[i],
                   static_cast<std::uint32_t>(first_row + i));
    }
  }
}

void scan_leaf(const Index& index, std::size_t at, Search& search) {
  const Lanes lanes;
  const std::size_t n = hn::Lanes(lanes);
  for (std::size_t row = 0; row < kLeafRows; row += 4 * n) {
    auto sum0 = hn::Zero(lanes);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for (std::size_t i = 0; i < search.present; ++i) {
      const std::size_t column = search.columns[i];
      const auto query = hn::Set(lanes, search.query[column]);
      const float* values = index.leaf(at) + column * kLeafRows + row;
      const auto off0 = hn::Sub(query, hn::LoadU(lanes, values));
      const auto off1 = hn::Sub(query, hn::LoadU(lanes, values + n));
      const auto off2 = hn::Sub(query, hn::LoadU(lanes, values + 2 * n));
      const auto off3 = hn::Sub(query, hn::LoadU(lanes, values + 3 * n));
      sum0 = hn::MulAdd(off0, off0, sum0);
      sum1 = hn::MulAdd(off1, off1, sum1);
      sum2 = hn::MulAdd(off2, off2, sum2);
      sum3 = hn::MulAdd(off3, off3, sum3);
    }
    const auto nearest = hn::Min(hn::Min(sum0, sum1), hn::Min(sum2, sum3));
    if (hn::AllFalse(lanes, hn::Lt(nearest, hn::Set(lanes, search.squared.back())))) continue;
    const std::size_t first = at * kLeafRows + row;
    keep(lanes, sum0, first, search);
    keep(lanes, sum1, first + n, search);
    keep(lanes, sum2, first + 2 * n, search);
    keep(lanes, sum3, first + 3 * n, search);
  }
}

void find(const Index& index, Search& search) {
  bound_leaves(index, search);
  std::ranges::fill(search.squared, std::numeric_limits<float>::max());
  std::ranges::fill(search.rows, 0U);
  const auto boxes = std::span(search.boxes).first(index.leaves());
  const float& limit = search.squared.back();
  for (std::size_t i = 0; i < kFirstLeaves; ++i) {
    const auto nearest = std::ranges::min_element(boxes);
    if (*nearest >= limit) return;
    scan_leaf(index, static_cast<std::size_t>(nearest - boxes.begin()), search);
    *nearest = std::numeric_limits<float>::infinity();
  }
  for (std::size_t at = 0; at < boxes.size(); ++at) {
    if (boxes[at] < limit) scan_leaf(index, at, search);
  }
}

}  // namespace lapwing::detect::neighbours::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::neighbours {

HWY_EXPORT(find);

void find_nearest(const Index& index, Search& search) noexcept {
  HWY_DYNAMIC_DISPATCH(find)(index, search);
}

}  // namespace lapwing::detect::neighbours
#endif
