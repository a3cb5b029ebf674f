// SPDX-License-Identifier: Apache-2.0
/// The nearest of many small vectors, with the processor's widest vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect {

/// Codes of `count` centroids in `dimensions`, transposed: code i of centroid c is at
/// [i * count + c]. Fills, per centroid, the sums of code * query and of code * code.
/// `count` is a multiple of 32; queries are whole numbers within +-1023: every sum is exact, so
/// that all processors give the same bits.
void code_products(const std::int8_t* codes, std::size_t count, std::span<const float> query,
                   float* with_query, float* with_itself) noexcept;

}  // namespace lapwing::detect
