// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/cuda.hpp"
#include "shared/detect/cuda/context.hpp"

namespace lapwing::detect::codebooks {

Result<std::unique_ptr<CudaCodebooks>> make_cuda_codebooks(std::size_t, std::uint32_t,
                                                           std::uint32_t) {
  return built_without_cuda();
}

}  // namespace lapwing::detect::codebooks
