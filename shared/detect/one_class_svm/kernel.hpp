// SPDX-License-Identifier: Apache-2.0
/// The radial kernel from squared distances, with the widest vectors there are.
#pragma once

#include <cstddef>

namespace lapwing::detect::svm {

/// Turns squared distances beyond `nearest` into e^(-gamma (squared - nearest)), in place, and adds
/// them up, each times its weight. `size` is a multiple of PackedRows::kAtOnce.
float weigh_kernels(float* squared, const float* weights, std::size_t size, float gamma,
                    float nearest) noexcept;

}  // namespace lapwing::detect::svm
