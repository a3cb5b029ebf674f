// SPDX-License-Identifier: Apache-2.0
/// Rows of a batch on their way to a CUDA device, and back to the CPU when it fails.
#pragma once

#include "shared/detect/columns.hpp"
#include "shared/detect/cuda/row_scorer.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace lapwing::detect {

/// What a detector of rows keeps of its device: the scorer, and how rows are made ready for it.
/// Threads: one object is used from one thread at a time.
class RowsOnDevice {
 public:
  static constexpr std::size_t kRowsWorth = 128;  ///< fewer are done sooner on the CPU

  /// `kind` outlives the object.
  RowsOnDevice(std::string_view kind, Columns columns, std::unique_ptr<CudaRowScorer> scorer);

  /// False when the CPU should do the rows: they are few, or the device failed, now or before
  /// (told once: report_device_failure).
  [[nodiscard]] bool score(std::span<const double> values, std::span<float> raw) noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  std::string_view kind_;
  Columns columns_;
  std::unique_ptr<CudaRowScorer> scorer_;  ///< null once it failed
  std::vector<float> scaled_;
};

}  // namespace lapwing::detect
