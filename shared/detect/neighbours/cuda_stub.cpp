// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/neighbours/cuda.hpp"

namespace lapwing::detect::neighbours {

Result<std::unique_ptr<CudaRowScorer>> make_cuda_scorer(const Model&) {
  return built_without_cuda();
}

}  // namespace lapwing::detect::neighbours
