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
constexpr std::size_t kStep = 4;  // walks

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

/// A row's way through as many trees as there are lanes.
struct Walk {
  const std::uint32_t* words;  ///< of the first tree
  const float* row;
  std::uint32_t* sums;    ///< a lane each; the path lengths are added
  std::uint32_t* places;  ///< gets where the last nodes' words lie in the group; may be null
  std::uint32_t first;    ///< tree's place in its group
};

/// Walks in step hide each other's waiting: the same trees for several rows, or several trees for
/// one row.
template <bool kFits, std::size_t kWalks>
HWY_INLINE void walk_in_step(const Walk (&walks)[kWalks], std::uint32_t depth, Word mask) {
  const Floats df;
  const Words du;
  const Ints di;
  const auto right = [&](const Walk& walk, Word word) {
    const auto values = values_of<kFits>(hn::LoadU(df, walk.row), walk.row, mask, word);
    return hn::RebindMask(du, hn::Ge(values, hn::BitCast(df, word)));
  };
  // From a node's place to its child's: twice, so the lane must be taken away once.
  const auto lane = hn::Iota(du, 0);
  const auto to_left = hn::Sub(hn::Zero(du), lane);
  const auto to_right = hn::Add(to_left, hn::Set(du, kLanes));
  const auto child = [&](Word at, auto is_right) {
    return hn::Add(hn::Add(at, at), hn::IfThenElse(is_right, to_right, to_left));
  };
  const auto word_at = [&](const Walk& walk, Word at) {
    const auto* base = reinterpret_cast<const std::int32_t*>(walk.words);
    return hn::BitCast(du, hn::GatherIndex(di, base, hn::BitCast(di, at)));
  };
  Word at[kWalks];
  for (std::size_t i = 0; i < kWalks; ++i) {
    const Walk& walk = walks[i];
    const auto node = [&](std::uint32_t n) { return hn::LoadU(du, walk.words + n * kLanes); };
    // Three levels by choosing between loaded nodes.
    const auto r0 = right(walk, node(1));
    const auto r1 = right(walk, hn::IfThenElse(r0, node(3), node(2)));
    const auto r2 = right(walk, hn::IfThenElse(r0, hn::IfThenElse(r1, node(7), node(6)),
                                               hn::IfThenElse(r1, node(5), node(4))));
    at[i] = child(child(child(hn::Add(hn::Set(du, kLanes), lane), r0), r1), r2);
  }
  for (std::uint32_t level = 3; level < depth; ++level) {
    for (std::size_t i = 0; i < kWalks; ++i) {
      at[i] = child(at[i], right(walks[i], word_at(walks[i], at[i])));
    }
  }
  for (std::size_t i = 0; i < kWalks; ++i) {
    const Walk& walk = walks[i];
    hn::Store(hn::Add(hn::Load(du, walk.sums), word_at(walk, at[i])), du, walk.sums);
    if (walk.places != nullptr) {
      hn::StoreU(hn::Add(at[i], hn::Set(du, walk.first)), du, walk.places);
    }
  }
}

/// `walk_of(i)` for all i below `count`, kWalks in step, then fewer.
template <bool kFits, std::size_t kWalks>
HWY_INLINE void walk_all_of(std::size_t count, std::uint32_t depth, Word mask,
                            const auto& walk_of) {
  std::size_t i = 0;
  for (; i + kWalks <= count; i += kWalks) {
    Walk walks[kWalks];
    for (std::size_t k = 0; k < kWalks; ++k) walks[k] = walk_of(i + k);
    walk_in_step<kFits>(walks, depth, mask);
  }
  if constexpr (kWalks > 1) {
    walk_all_of<kFits, kWalks - 1>(count - i, depth, mask,
                                   [&](std::size_t k) { return walk_of(i + k); });
  }
}

template <bool kFits>
void walk_vectors(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
                  std::uint32_t* sums, std::uint32_t* places) {
  const Words du;
  const std::size_t lanes = hn::Lanes(du);
  const auto mask = hn::Set(du, trees.column_mask);
  HWY_ALIGN std::uint32_t parts[kBlockRows * kLanes];
  for (std::size_t i = 0; i < count; ++i) hn::Store(hn::Zero(du), du, parts + i * lanes);
  const std::size_t places_stride = tree_stride(trees.trees);
  const auto walk_of = [&](std::size_t row, std::size_t vector) {
    const auto tree = static_cast<std::uint32_t>(vector * lanes);
    return Walk{.words = tree_words(trees, tree),
                .row = rows + row * stride,
                .sums = parts + row * lanes,
                .places = places != nullptr ? places + row * places_stride + tree : nullptr,
                .first = tree % kLanes};
  };
  const std::size_t vectors = (trees.trees + lanes - 1) / lanes;
  if (count < kStep) {
    for (std::size_t row = 0; row < count; ++row) {
      walk_all_of<kFits, kStep>(vectors, trees.depth, mask,
                                [&](std::size_t vector) { return walk_of(row, vector); });
    }
  } else {
    for (std::size_t vector = 0; vector < vectors; ++vector) {
      walk_all_of<kFits, kStep>(count, trees.depth, mask,
                                [&](std::size_t row) { return walk_of(row, vector); });
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
