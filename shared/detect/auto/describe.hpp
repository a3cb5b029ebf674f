// SPDX-License-Identifier: Apache-2.0
/// A window of a stream as codebooks learn from it and search for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect {

/// What windows are compared by.
enum class View : std::uint8_t {
  shape,  ///< about their own mean, in their own spread
  level,  ///< as they are
};

constexpr std::size_t kDimensionsMax = 48;

/// A window as it is learnt from, and as whole numbers, which it is searched with. The numbers
/// after a codebook's dimensions are not set.
struct CodedWindow {
  std::array<float, kDimensionsMax> values;
  std::array<std::int16_t, kDimensionsMax> query;  ///< within +-1023
  float query_scale;                               ///< what a query of 1 is worth
  float square;                                    ///< of the query's length
};

/// `blocks`: means of a window's blocks, newest first, 16, 32 or 48 of them; `weights`: of each.
/// Repeatable: the same bits on every CPU.
void describe_window(std::span<const float> blocks, std::span<const float> weights, View view,
                     CodedWindow& window) noexcept;

}  // namespace lapwing::detect
