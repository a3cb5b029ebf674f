// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/trees/walk.hpp"

// Highway compiles this file once for every instruction set worth having and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shared/detect/trees/walk.cpp"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lapwing::detect::trees {
namespace HWY_NAMESPACE {

/// Through the task alone: instruction sets that cannot gather, and extended forests.
void walk_one_by_one(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                     std::uint32_t* sums, std::uint32_t* places) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = 0;
  // Some trees for all rows, then the next: their words stay in the nearest cache.
  for (std::uint32_t first = 0; first < trees.trees; first += kLanes) {
    const std::uint32_t end = first + kLanes < trees.trees ? first + kLanes : trees.trees;
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t* out =
          places != nullptr ? places + i * tree_stride(trees.trees) + first : nullptr;
      sums[i] += walk_group(trees, first, end, rows + i * stride, out);
    }
  }
}

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

// A lane is a tree: every lane looks at the same row, so that a column's value is a permutation of
// one register, and only the nodes of the lower levels have to be gathered.
namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, kLanes>;
using Words = hn::RebindToUnsigned<Floats>;
using Ints = hn::RebindToSigned<Floats>;
using Word = hn::Vec<Words>;
constexpr std::size_t kStep = 4;  // rows in step

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

/// Adds the path lengths of kRows rows in the trees of as many lanes, from `first` in their group;
/// rows walked in step hide each other's waiting. `places`, unless null, gets the last nodes'
/// words, `places_stride` from row to row.
template <bool kFits, std::size_t kRows>
HWY_INLINE void walk_lanes(const std::uint32_t* HWY_RESTRICT words, std::uint32_t first,
                           std::uint32_t depth, Word mask, const float* HWY_RESTRICT rows,
                           std::size_t stride, std::uint32_t* HWY_RESTRICT sums,
                           std::uint32_t* HWY_RESTRICT places, std::size_t places_stride) {
  const Floats df;
  const Words du;
  const Ints di;
  const auto node = [&](std::uint32_t n) { return hn::LoadU(du, words + n * kLanes + first); };
  const auto right = [&](std::size_t i, Word word) {
    const float* row = rows + i * stride;
    return hn::RebindMask(
        du, hn::Ge(values_of<kFits>(hn::LoadU(df, row), row, mask, word), hn::BitCast(df, word)));
  };
  // From a node's place to its child's: twice, so the lane must be taken away once.
  const auto lane = hn::Iota(du, first);
  const auto to_left = hn::Sub(hn::Zero(du), lane);
  const auto to_right = hn::Add(to_left, hn::Set(du, kLanes));
  const auto child = [&](Word at, auto is_right) {
    return hn::Add(hn::Add(at, at), hn::IfThenElse(is_right, to_right, to_left));
  };
  Word at[kRows];
  for (std::size_t i = 0; i < kRows; ++i) {
    // Three levels by choosing between loaded nodes.
    const auto r0 = right(i, node(1));
    const auto r1 = right(i, hn::IfThenElse(r0, node(3), node(2)));
    const auto r2 = right(i, hn::IfThenElse(r0, hn::IfThenElse(r1, node(7), node(6)),
                                            hn::IfThenElse(r1, node(5), node(4))));
    at[i] = child(child(child(hn::Add(hn::Set(du, kLanes), lane), r0), r1), r2);
  }
  const auto* base = reinterpret_cast<const std::int32_t*>(words);
  for (std::uint32_t level = 3; level < depth; ++level) {
    for (std::size_t i = 0; i < kRows; ++i) {
      const auto word = hn::BitCast(du, hn::GatherIndex(di, base, hn::BitCast(di, at[i])));
      at[i] = child(at[i], right(i, word));
    }
  }
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto length = hn::BitCast(du, hn::GatherIndex(di, base, hn::BitCast(di, at[i])));
    std::uint32_t* sum = sums + i * hn::Lanes(du);
    hn::Store(hn::Add(hn::Load(du, sum), length), du, sum);
    if (places != nullptr) hn::StoreU(at[i], du, places + i * places_stride);
  }
}

template <bool kFits>
void walk_vectors(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                  std::uint32_t* sums, std::uint32_t* places) {
  const Words du;
  const auto lanes = static_cast<std::uint32_t>(hn::Lanes(du));
  const auto mask = hn::Set(du, trees.column_mask);
  HWY_ALIGN std::uint32_t parts[kBlockRows * kLanes];
  for (std::size_t i = 0; i < count; ++i) hn::Store(hn::Zero(du), du, parts + i * lanes);
  for (std::uint32_t tree = 0; tree < trees.trees; tree += lanes) {
    const std::uint32_t first = tree % kLanes;
    const std::uint32_t* words = tree_words(trees, tree - first);
    const std::size_t places_stride = tree_stride(trees.trees);
    std::uint32_t* out = places != nullptr ? places + tree : nullptr;
    const auto out_of = [&](std::size_t i) {
      return out != nullptr ? out + i * places_stride : nullptr;
    };
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep) {
      walk_lanes<kFits, kStep>(words, first, trees.depth, mask, rows + i * stride, stride,
                               parts + i * lanes, out_of(i), places_stride);
    }
    for (; i < count; ++i) {
      walk_lanes<kFits, 1>(words, first, trees.depth, mask, rows + i * stride, stride,
                           parts + i * lanes, out_of(i), places_stride);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] = hn::GetLane(hn::SumOfLanes(du, hn::Load(du, parts + i * lanes)));
  }
}

void walk_rows_here(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                    std::uint32_t* sums, std::uint32_t* places) {
  if (trees.coordinates > 1) {
    walk_one_by_one(trees, rows, stride, count, sums, places);
  } else if (trees.column_mask < hn::Lanes(Floats())) {
    walk_vectors<true>(trees, rows, stride, count, sums, places);
  } else {
    walk_vectors<false>(trees, rows, stride, count, sums, places);
  }
}

#else

void walk_rows_here(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                    std::uint32_t* sums, std::uint32_t* places) {
  walk_one_by_one(trees, rows, stride, count, sums, places);
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace lapwing::detect::trees
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lapwing::detect::trees {

HWY_EXPORT(walk_rows_here);

void walk_rows(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
               std::uint32_t* sums, std::uint32_t* places) noexcept {
  HWY_DYNAMIC_DISPATCH(walk_rows_here)(trees, rows, stride, count, sums, places);
}

}  // namespace lapwing::detect::trees
#endif  // HWY_ONCE
