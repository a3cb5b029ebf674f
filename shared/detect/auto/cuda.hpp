// SPDX-License-Identifier: Apache-2.0
/// The driver that searches the codebooks of many streams on a CUDA device; names no CUDA type.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/auto/task.hpp"

#include <cstddef>
#include <memory>

namespace lapwing::detect::codebooks {

/// Codebooks on a device. Threads: one object is used from one thread at a time.
class CudaCodebooks {
 public:
  static constexpr std::size_t kWindowsMax = 65'536;  ///< in one call
  static constexpr std::size_t kWindowsWorth = 512;   ///< fewer are done sooner on the CPU

  virtual ~CudaCodebooks() = default;
  CudaCodebooks(const CudaCodebooks&) = delete;
  CudaCodebooks& operator=(const CudaCodebooks&) = delete;

  /// Copies the codebooks of `streams` streams from `first` on; `books` are all of them. Waits for
  /// the device. Errors: no_device (it fails; the object is of no use then).
  virtual Result<void> load(const Books& books, std::size_t first, std::size_t streams) = 0;
  /// The nearest centroid of each window, with the bits of nearest_centroid(). Waits for the
  /// device. Errors: likewise.
  virtual Result<void> find(const Windows& windows, std::size_t count, Nearest* found) = 0;

 protected:
  CudaCodebooks() = default;
};

/// Room for the codebooks of `streams` streams, `count` centroids of `dimensions` codes each.
/// Errors: no_device (built without CUDA, there is none that works, or its memory is full).
Result<std::unique_ptr<CudaCodebooks>> make_cuda_codebooks(std::size_t streams, std::uint32_t count,
                                                           std::uint32_t dimensions);

}  // namespace lapwing::detect::codebooks
