// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/isolation_forest/cuda.hpp"

namespace lapwing::detect::isolation_forest {

Result<std::unique_ptr<CudaTrees>> make_cuda_trees(const Trees&, std::size_t) {
  return built_without_cuda();
}

}  // namespace lapwing::detect::isolation_forest
