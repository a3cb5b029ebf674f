// SPDX-License-Identifier: Apache-2.0
/// A model on a CUDA device that turns scaled rows into raw scores; names no CUDA type.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>

namespace lapwing::detect {

/// Threads: one object is used from one thread at a time.
class CudaRowScorer {
 public:
  static constexpr std::size_t kRowsMax = 4096;  ///< in one call

  virtual ~CudaRowScorer() = default;
  CudaRowScorer(const CudaRowScorer&) = delete;
  CudaRowScorer& operator=(const CudaRowScorer&) = delete;

  /// `rows` row-major, scaled, NaN where missing; one score each into `raw`. Waits for the device.
  /// Errors: no_device (it fails; the object is of no use then).
  virtual Result<void> score(const float* rows, std::size_t count, float* raw) = 0;

 protected:
  CudaRowScorer() = default;
};

}  // namespace lapwing::detect
