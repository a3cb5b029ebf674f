// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"
#include "shared/detect/matrix_profile/cuda.hpp"

namespace lapwing::detect::profile {

Result<std::unique_ptr<CudaSearch>> make_cuda_search() { return built_without_cuda(); }

}  // namespace lapwing::detect::profile
