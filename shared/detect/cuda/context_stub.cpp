// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/context.hpp"

namespace lapwing::detect {

bool built_with_cuda() noexcept { return false; }

Error built_without_cuda() {
  return {Errc::no_device,
          "this build has no CUDA: set device to cpu, or build with LAPWING_CUDA=ON"};
}

}  // namespace lapwing::detect
