// SPDX-License-Identifier: Apache-2.0
/// The task of one worker: where a row comes out of a few trees. g++, clang and nvcc compile it, so
/// it is plain C++17; threads, blocks and memory belong to the drivers.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cstdint>

namespace lapwing::detect::trees {

/// Trees that lie beside each other: a node of one is kLanes words from its next node.
inline constexpr std::uint32_t kLanes = 16;
/// Path lengths are whole multiples of 1/kUnit, so that their sum does not depend on its order.
inline constexpr std::uint32_t kUnit = 1U << 16;

/// Complete binary trees as words, in groups of kLanes. Node n has the children 2n and 2n + 1;
/// after `depth` steps the word is a path length in 1/kUnit, short where rows are strange.
///
/// An inner word is the split value as a float whose lowest bits are the column's index: splits are
/// drawn at random, so these bits are as good as any, and one load brings both. Borrowed.
struct Trees {
  const std::uint32_t* words;    ///< group, node, lane; 2^(depth + 1) nodes a tree, node 0 unused
  const std::uint16_t* columns;  ///< extended forests: `coordinates` for each inner node
  const float* weights;          ///< likewise
  std::uint32_t trees;
  std::uint32_t depth;
  std::uint32_t column_mask;  ///< the bits of an inner word that name its column
  std::uint32_t coordinates;  ///< 1: splits look at one column
};

LAPWING_HOST_DEVICE inline float as_float(std::uint32_t word) noexcept {
  float value = 0;
  static_assert(sizeof value == sizeof word, "words are compared as numbers");
  __builtin_memcpy(&value, &word, sizeof value);
  return value;
}

LAPWING_HOST_DEVICE inline const std::uint32_t* tree_words(const Trees& trees,
                                                           std::uint32_t tree) noexcept {
  const std::uint64_t group = tree / kLanes;
  return trees.words + ((group << (trees.depth + 1)) * kLanes + tree % kLanes);
}

/// Sum of the path lengths of `row` in Count neighbours, walked in step: several walks hide each
/// other's waiting. All Count lie in one group. `places`, unless null, gets where the word of each
/// lies in the group.
/// Indices were checked when the model was loaded.
template <int Count>
LAPWING_HOST_DEVICE inline std::uint32_t walk(const Trees& trees, std::uint32_t first_tree,
                                              const float* row, std::uint32_t* places) noexcept {
  const std::uint32_t* words = tree_words(trees, first_tree);
  std::uint32_t node[Count];
  for (int i = 0; i < Count; ++i) node[i] = 1;
  for (std::uint32_t level = 0; level < trees.depth; ++level) {
    for (int i = 0; i < Count; ++i) {
      const std::uint32_t word = words[node[i] * kLanes + static_cast<std::uint32_t>(i)];
      const float value = row[word & trees.column_mask];
      node[i] = 2 * node[i] + (value >= as_float(word) ? 1U : 0U);
    }
  }
  std::uint32_t sum = 0;
  for (int i = 0; i < Count; ++i) {
    const std::uint32_t place = node[i] * kLanes + static_cast<std::uint32_t>(i);
    sum += words[place];
    if (places != nullptr) places[i] = place + first_tree % kLanes;
  }
  return sum;
}

/// The path length of `row` in one tree of an extended forest: a split looks at which side of a
/// plane through a few columns the row lies.
LAPWING_HOST_DEVICE inline std::uint32_t walk_extended(const Trees& trees, std::uint32_t tree,
                                                       const float* row) noexcept {
  const std::uint32_t* words = tree_words(trees, tree);
  const std::uint64_t first = static_cast<std::uint64_t>(tree) << trees.depth;
  std::uint32_t node = 1;
  for (std::uint32_t level = 0; level < trees.depth; ++level) {
    const std::uint64_t at = (first + node) * trees.coordinates;
    float side = 0;
    for (std::uint32_t i = 0; i < trees.coordinates; ++i) {
      side += trees.weights[at + i] * row[trees.columns[at + i]];
    }
    node = 2 * node + (side >= as_float(words[node * kLanes]) ? 1U : 0U);
  }
  return words[node * kLanes];
}

/// Sum of the path lengths of `row` in the trees [first, end), which lie in one group. `places`,
/// unless null, gets where the word of each lies there; not from extended forests.
LAPWING_HOST_DEVICE inline std::uint32_t walk_group(const Trees& trees, std::uint32_t first,
                                                    std::uint32_t end, const float* row,
                                                    std::uint32_t* places) noexcept {
  std::uint32_t sum = 0;
  std::uint32_t tree = first;
  if (trees.coordinates > 1) {
    for (; tree < end; ++tree) sum += walk_extended(trees, tree, row);
    return sum;
  }
  constexpr std::uint32_t kStep = 8;
  for (; tree + kStep <= end; tree += kStep) {
    sum += walk<kStep>(trees, tree, row, places);
    if (places != nullptr) places += kStep;
  }
  for (; tree < end; ++tree) {
    sum += walk<1>(trees, tree, row, places);
    if (places != nullptr) ++places;
  }
  return sum;
}

/// Sum of the path lengths of `row` in all trees.
LAPWING_HOST_DEVICE inline std::uint32_t walk_all(const Trees& trees, const float* row) noexcept {
  std::uint32_t sum = 0;
  for (std::uint32_t first = 0; first < trees.trees; first += kLanes) {
    const std::uint32_t end = first + kLanes < trees.trees ? first + kLanes : trees.trees;
    sum += walk_group(trees, first, end, row, nullptr);
  }
  return sum;
}

}  // namespace lapwing::detect::trees
