// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/cpu.hpp"

// Highway compiles this file once for every instruction set worth having and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/isolation_forest/cpu.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::isolation_forest {
namespace HWY_NAMESPACE {

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

// A lane is a tree: every lane looks at the same row, so that a column's value is a permutation of
// one register, and only the nodes of the lower levels have to be gathered.
namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, kLanes>;
using Words = hn::RebindToUnsigned<Floats>;
using Ints = hn::RebindToSigned<Floats>;
using Word = hn::Vec<Words>;

/// The values that the words' columns have in a row: a permutation where the row fits a register.
template <bool kFits>
HWY_INLINE hn::Vec<Floats> values_of(hn::Vec<Floats> head, const float* row, Word mask,
                                     Word words) {
  const auto columns = hn::BitCast(Ints(), hn::And(words, mask));
  if constexpr (kFits) {
    return hn::TableLookupLanes(head, hn::IndicesFromVec(Floats(), columns));
  } else {
    return hn::GatherIndex(Floats(), row, columns);
  }
}

/// Path lengths of one row in the trees of as many lanes.
template <bool kFits>
HWY_INLINE Word walk_lanes(const std::uint32_t* HWY_RESTRICT words, std::uint32_t depth, Word mask,
                           const float* HWY_RESTRICT row) {
  const Floats df;
  const Words du;
  const Ints di;
  const auto head = hn::LoadU(df, row);
  const auto node = [&](std::uint32_t n) { return hn::LoadU(du, words + n * kLanes); };
  const auto right = [&](Word word) {
    return hn::RebindMask(du,
                          hn::Ge(values_of<kFits>(head, row, mask, word), hn::BitCast(df, word)));
  };
  // Three levels by choosing between loaded nodes.
  const auto r0 = right(node(1));
  const auto r1 = right(hn::IfThenElse(r0, node(3), node(2)));
  const auto r2 = right(hn::IfThenElse(r0, hn::IfThenElse(r1, node(7), node(6)),
                                       hn::IfThenElse(r1, node(5), node(4))));
  const auto bit = [&](auto mask_of, std::uint32_t value) {
    return hn::IfThenElseZero(mask_of, hn::Set(du, value * kLanes));
  };
  // From here the place of the node's word. From a node to its child: twice the node, so the lane
  // must be taken away once.
  const auto lane = hn::Iota(du, 0);
  auto at = hn::Add(hn::Add(hn::Set(du, 8 * kLanes), bit(r0, 4)),
                    hn::Add(hn::Add(bit(r1, 2), bit(r2, 1)), lane));
  const auto to_left = hn::Sub(hn::Zero(du), lane);
  const auto to_right = hn::Add(to_left, hn::Set(du, kLanes));
  const auto* base = reinterpret_cast<const std::int32_t*>(words);
  for (std::uint32_t level = 3; level < depth; ++level) {
    const auto word = hn::BitCast(du, hn::GatherIndex(di, base, hn::BitCast(di, at)));
    at = hn::Add(hn::Add(at, at), hn::IfThenElse(right(word), to_right, to_left));
  }
  return hn::BitCast(du, hn::GatherIndex(di, base, hn::BitCast(di, at)));
}

template <bool kFits>
void sum_all(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
             std::uint32_t* sums) {
  const Words du;
  const auto lanes = static_cast<std::uint32_t>(hn::Lanes(du));
  const auto mask = hn::Set(du, trees.column_mask);
  HWY_ALIGN std::uint32_t parts[kBlockRows * kLanes];
  for (std::size_t i = 0; i < count; ++i) hn::Store(hn::Zero(du), du, parts + i * lanes);
  // Some trees for all rows, then the next: their words stay in the nearest cache.
  for (std::uint32_t tree = 0; tree < trees.trees; tree += lanes) {
    const std::uint32_t* words = tree_words(trees, tree);
    for (std::size_t i = 0; i < count; ++i) {
      const auto lengths = walk_lanes<kFits>(words, trees.depth, mask, rows + i * stride);
      std::uint32_t* part = parts + i * lanes;
      hn::Store(hn::Add(hn::Load(du, part), lengths), du, part);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] = hn::GetLane(hn::SumOfLanes(du, hn::Load(du, parts + i * lanes)));
  }
}

void sum_paths_here(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                    std::uint32_t* sums) {
  if (trees.coordinates > 1) {
    for (std::size_t i = 0; i < count; ++i) sums[i] = walk_all(trees, rows + i * stride);
  } else if (trees.column_mask < hn::Lanes(Floats())) {
    sum_all<true>(trees, rows, stride, count, sums);
  } else {
    sum_all<false>(trees, rows, stride, count, sums);
  }
}

#else

void sum_paths_here(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                    std::uint32_t* sums) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = walk_all(trees, rows + i * stride);
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect::isolation_forest
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::isolation_forest {

HWY_EXPORT(sum_paths_here);

void sum_paths(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
               std::uint32_t* sums) noexcept {
  HWY_DYNAMIC_DISPATCH(sum_paths_here)(trees, rows, stride, count, sums);
}

}  // namespace lapwing::detect::isolation_forest
#endif  // HWY_ONCE
