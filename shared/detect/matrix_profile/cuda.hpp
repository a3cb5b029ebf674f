// SPDX-License-Identifier: Apache-2.0
/// The search of a whole series on a CUDA device; names no CUDA type.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/matrix_profile/task.hpp"

#include <memory>

namespace lapwing::detect::profile {

/// A device that searches. Threads: one object is used from one thread at a time.
class CudaSearch {
 public:
  virtual ~CudaSearch() = default;
  CudaSearch(const CudaSearch&) = delete;
  CudaSearch& operator=(const CudaSearch&) = delete;

  /// As best_later(): for each window the later one with the highest correlation (without its own
  /// inverse), the first of equal ones; -1 where there is none. Both hold one entry a window.
  /// Waits for the device. Errors: no_device (it fails, or its memory is full).
  virtual Result<void> best_later(const Tables& tables, double* best, double* where) = 0;

 protected:
  CudaSearch() = default;
};

/// Errors: no_device (built without CUDA, or there is none that works).
Result<std::unique_ptr<CudaSearch>> make_cuda_search();

}  // namespace lapwing::detect::profile
