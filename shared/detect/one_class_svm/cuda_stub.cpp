// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/one_class_svm/cuda.hpp"

namespace lapwing::detect::svm {

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Support&) {
  return built_without_cuda();
}
Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Features&) {
  return built_without_cuda();
}

}  // namespace lapwing::detect::svm
