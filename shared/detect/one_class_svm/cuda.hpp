// SPDX-License-Identifier: Apache-2.0
/// The drivers that score `one_class_svm` on a CUDA device: with support vectors, with features.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/cuda/row_scorer.hpp"
#include "shared/detect/one_class_svm/feature_task.hpp"
#include "shared/detect/one_class_svm/task.hpp"

#include <memory>

namespace lapwing::detect::svm {

/// Copies the model's arrays to the device.
/// Errors: no_device (built without CUDA, or there is none that works).
Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Support& support);
Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Features& features);

}  // namespace lapwing::detect::svm
