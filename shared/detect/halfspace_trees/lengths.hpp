// SPDX-License-Identifier: Apache-2.0
/// From the mass in the leaves of some trees to path lengths, with the widest vectors there are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapwing::detect::halfspace_trees {

/// One group of trees::kLanes trees, `depth` at least 2. `leaves`: the mass in 2^depth of kLanes.
/// `inner`: room for the mass of as many nodes. `lengths`: likewise, in 1/trees::kUnit.
///
/// The length of a leaf is log2(2^d (1 + scale * m)), where m is the mass of the first node on its
/// way, at depth d, that has no more than `few`, or of the leaf itself.
/// Repeatable: the same bits on every CPU.
void path_lengths(const float* leaves, float* inner, std::uint32_t depth, float few, float scale,
                  std::uint32_t* lengths) noexcept;

}  // namespace lapwing::detect::halfspace_trees
