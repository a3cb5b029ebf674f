// SPDX-License-Identifier: Apache-2.0
/// One forest out of trees that several forests grew, each on rows of its own.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/isolation_forest/forest.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::isolation_forest {

/// The first `trees` of a forest.
struct Share {
  const Forest* forest = nullptr;
  std::uint32_t trees = 0;
};

/// Their trees, each path in units of what its own sample expects: a tree that grew on fewer rows
/// counts as one of `sample` rows, c(sample) / c(its sample) times as long. Columns are scaled
/// anew, around the median of the forests' medians: a split stays where it was, to single
/// precision. `sample` is at least as large as every forest's. Errors: bad_shape (widths differ),
/// unsupported (extended forests), bad_input (no trees), limit (more than the kind allows).
Result<Forest> unite(std::span<const Share> shares, std::uint32_t sample,
                     std::span<const Column> columns = {});

/// How many of the rows come to each leaf, leaf after leaf, tree after tree: trees << depth
/// numbers. They add up over devices. Missing numbers count as the forest's medians.
[[nodiscard]] std::vector<double> leaf_counts(const Forest& forest, const Table& table);

/// The paths' lengths from the rows that came to each leaf, as if each tree had grown on a sample
/// of them: a leaf adds what the rows that it would have got still need (Liu et al. 2008). So trees
/// that a device grew know how common a place is that only others' rows reach. `counts` as
/// leaf_counts() of `forest`; `rows` > 0.
[[nodiscard]] Forest with_counts(Forest forest, std::span<const double> counts, double rows);

}  // namespace lapwing::detect::isolation_forest
