// SPDX-License-Identifier: Apache-2.0
/// The nearest of many small vectors, with the processor's widest vectors.
#pragma once

#include "shared/detect/auto/task.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect {

/// The nearest of the first `used` centroids to a query.
///
/// Codes of `count` centroids where codebooks::place_of() says; a code of 1 is worth scales[c], a
/// query of 1 `query_scale`. `count` is a multiple of 32, `used` above 0; queries lie within +-1023
/// and are an even number: every sum is exact, so that all processors give the same bits.
Nearest nearest_centroid(const std::int8_t* codes, std::span<const float> scales, std::size_t used,
                         std::span<const std::int16_t> query, float query_scale) noexcept;

}  // namespace lapwing::detect
