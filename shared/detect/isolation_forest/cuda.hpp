// SPDX-License-Identifier: Apache-2.0
/// The driver that walks the trees on a CUDA device; names no CUDA type.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/trees/task.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lapwing::detect::isolation_forest {

using trees::Trees;

/// A forest on a device. Threads: one object is used from one thread at a time.
class CudaTrees {
 public:
  static constexpr std::size_t kRowsMax = 16384;  ///< in one call
  static constexpr std::size_t kRowsWorth = 256;  ///< fewer are done sooner on the CPU

  virtual ~CudaTrees() = default;
  CudaTrees(const CudaTrees&) = delete;
  CudaTrees& operator=(const CudaTrees&) = delete;

  /// As trees::walk_rows(), with the same bits. Waits for the device.
  /// Errors: no_device (it fails; the object is of no use then).
  virtual Result<void> sum_paths(const float* rows, std::size_t count, std::uint32_t* sums) = 0;

 protected:
  CudaTrees() = default;
};

/// Copies the trees to the device. `stride`: numbers from one row to the next.
/// Errors: no_device (built without CUDA, or there is none that works).
Result<std::unique_ptr<CudaTrees>> make_cuda_trees(const Trees& trees, std::size_t stride);

}  // namespace lapwing::detect::isolation_forest
