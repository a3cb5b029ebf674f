// SPDX-License-Identifier: Apache-2.0
/// The driver that walks trees on the CPU, with the widest vectors that it has.
#pragma once

#include "shared/detect/trees/task.hpp"

#include <cstddef>
#include <cstdint>

namespace lapwing::detect::trees {

/// Rows in one call of walk_rows().
inline constexpr std::size_t kBlockRows = 64;
/// The vector driver looks at three levels at once: trees are at least as deep.
inline constexpr std::uint32_t kDepthMin = 3;

/// Numbers from one scaled row to the next: whole vectors of any width.
[[nodiscard]] constexpr std::size_t row_stride(std::size_t width) noexcept {
  return (width + kLanes - 1) / kLanes * kLanes;
}
/// Trees with the lanes that are none: what `places` has for a row.
[[nodiscard]] constexpr std::size_t tree_stride(std::size_t trees) noexcept {
  return row_stride(trees);
}

/// Sums of path lengths in 1/kUnit for up to kBlockRows scaled rows, row_stride() apart. `places`,
/// unless null, gets where each row's word lies in each tree's group, tree_stride() for a row; not
/// from extended forests. Repeatable: the same bits on every CPU and through every other driver.
void walk_rows(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
               std::uint32_t* sums, std::uint32_t* places) noexcept;

}  // namespace lapwing::detect::trees
