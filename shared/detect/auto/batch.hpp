// SPDX-License-Identifier: Apache-2.0
/// Windows of many streams held against their codebooks together, on a CUDA device where there is
/// one.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/auto/codebook.hpp"
#include "shared/detect/auto/cuda.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect {

/// Copies of the codebooks of many streams, all of one shape, and a queue of windows to search for.
///
/// For replays of many streams: each find() gives what nearest_centroid() gives for each window,
/// with the same bits on CPU and CUDA. README.md says when a device pays. A device that fails is
/// given up (report_device_failure) and the CPU goes on.
/// Memory: a copy of every codebook, here and on the device; 2 * dimensions + 16 bytes a window in
/// the queue. Threads: one object is used from one thread at a time.
class CodebookBatch {
 public:
  /// Codebooks of `count` centroids (a multiple of 32) of `dimensions` codes (at most
  /// kDimensionsMax); all are empty. Errors: bad_shape, no_device.
  static Result<CodebookBatch> make(std::size_t streams, std::size_t count, std::size_t dimensions,
                                    Device device);
  /// On a driver of the caller's; null: the CPU. For tests of how failures are dealt with.
  CodebookBatch(std::size_t streams, std::size_t count, std::size_t dimensions,
                std::unique_ptr<codebooks::CudaCodebooks> device);

  /// Takes a copy of what find() is to hold windows of the stream against; the device gets it with
  /// the next find(). `codes` and `scales` as nearest_centroid() takes them.
  /// Errors: bad_shape (no such stream, or sizes disagree; nothing changes).
  Result<void> put(std::size_t stream, std::span<const std::int8_t> codes,
                   std::span<const float> scales, std::size_t used);

  /// Adds a window to the queue. Errors: bad_shape (no such stream).
  Result<void> ask(std::size_t stream, const CodedWindow& window);
  [[nodiscard]] std::size_t asked() const noexcept { return streams_.size(); }

  /// The nearest centroid of each window in the queue, which empties; {0, kFar} where the stream
  /// has none. Waits for the device. Errors: bad_shape (`found` is not asked() long).
  Result<void> find(std::span<Nearest> found);

 private:
  [[nodiscard]] codebooks::Books books() const noexcept;
  [[nodiscard]] Result<void> find_on_device(std::span<Nearest> found);
  [[nodiscard]] Nearest find_here(std::size_t window) const noexcept;

  std::size_t count_;
  std::size_t dimensions_;
  std::unique_ptr<codebooks::CudaCodebooks> device_;  ///< null: the CPU
  std::vector<std::int8_t> codes_;
  std::vector<float> scales_;
  std::vector<std::uint32_t> used_;
  std::size_t changed_from_ = 0;  ///< streams that the device has another codebook of
  std::size_t changed_to_ = 0;
  std::vector<std::int16_t> queries_;
  std::vector<float> query_scales_;
  std::vector<std::uint32_t> streams_;
};

}  // namespace lapwing::detect
