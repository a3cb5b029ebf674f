// SPDX-License-Identifier: Apache-2.0
/// The driver that scores `knn` and `local_outlier_factor` on a CUDA device.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/cuda/row_scorer.hpp"
#include "shared/detect/neighbours/task.hpp"

#include <memory>

namespace lapwing::detect::neighbours {

/// Copies the model's arrays to the device; a row tries every reference row there.
/// Errors: no_device (built without CUDA, or there is none that works).
Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Model& model);

}  // namespace lapwing::detect::neighbours
