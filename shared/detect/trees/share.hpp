// SPDX-License-Identifier: Apache-2.0
/// Which columns made a row's paths short.
#pragma once

#include "shared/detect/trees/task.hpp"

#include <cstdint>
#include <span>

namespace lapwing::detect::trees {

/// Shares of the columns in a scaled row's strangeness, not negative, adding up to 1.
///
/// Axis-parallel trees of up to 15 levels: exact Shapley values of the summed path length, where a
/// column that does not take part has its median, which is 0 (one reference point, interventional;
/// Lundberg et al. 2020). Values that lengthen paths count as 0. Extended forests, whose splits mix
/// columns: how much longer the paths become with the one column at its median. Cost: per tree as
/// many leaves as row and median can reach together: 2^depth at worst, about 10 usually. Extended:
/// as many scores as columns. `row` is changed meanwhile, and put back.
void share_out(const Trees& trees, std::span<float> row, std::span<float> shares) noexcept;

}  // namespace lapwing::detect::trees
