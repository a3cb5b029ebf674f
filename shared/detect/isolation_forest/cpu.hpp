// SPDX-License-Identifier: Apache-2.0
/// The driver that walks the trees on the CPU, with the widest vectors that it has.
#pragma once

#include "shared/detect/isolation_forest/task.hpp"

#include <cstddef>
#include <cstdint>

namespace lapwing::detect::isolation_forest {

/// Rows in one call of sum_paths().
inline constexpr std::size_t kBlockRows = 64;

/// Numbers from one scaled row to the next: whole vectors of any width.
[[nodiscard]] constexpr std::size_t row_stride(std::size_t width) noexcept {
  return (width + kLanes - 1) / kLanes * kLanes;
}

/// Sums of path lengths in 1/kUnit for up to kBlockRows scaled rows, row_stride() apart.
/// Repeatable: the same bits on every CPU and through every other driver.
void sum_paths(const Trees& trees, const float* rows, std::size_t stride, std::size_t count,
               std::uint32_t* sums) noexcept;

}  // namespace lapwing::detect::isolation_forest
