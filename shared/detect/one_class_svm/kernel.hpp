// SPDX-License-Identifier: Apache-2.0
/// The radial kernel from squared distances, with the widest vectors there are.
#pragma once

#include "shared/detect/neighbours/distances.hpp"

#include <cstddef>

namespace lapwing::detect::svm {

/// Turns squared distances beyond `nearest` into e^(-gamma (squared - nearest)), in place, and adds
/// them up, each times its weight. `size` is a multiple of PackedRows::kAtOnce.
float weigh_kernels(float* squared, const float* weights, std::size_t size, float gamma,
                    float nearest) noexcept;

/// The sum over the directions of amplitude * cos(direction . query + phase); there are a multiple
/// of PackedRows::kAtOnce of them. As feature_of() of feature_task.hpp, added up in another order.
float sum_cosines(const neighbours::PackedRows& directions, const float* query, const float* phases,
                  const float* amplitudes) noexcept;

}  // namespace lapwing::detect::svm
