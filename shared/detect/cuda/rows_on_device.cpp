// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/cuda/rows_on_device.hpp"

#include "shared/detect/cuda/fallback.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::detect {

RowsOnDevice::RowsOnDevice(std::string_view kind, Columns columns,
                           std::unique_ptr<CudaRowScorer> scorer)
    : kind_(kind),
      columns_(std::move(columns)),
      scorer_(std::move(scorer)),
      scaled_(CudaRowScorer::kRowsMax * columns_.width()) {}

bool RowsOnDevice::score(std::span<const double> values, std::span<float> raw) noexcept {
  if (!scorer_ || raw.size() < kRowsWorth) return false;
  const std::size_t width = columns_.width();
  for (std::size_t first = 0; first < raw.size(); first += CudaRowScorer::kRowsMax) {
    const std::size_t count = std::min(CudaRowScorer::kRowsMax, raw.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      columns_.scale(values.subspan((first + i) * width, width),
                     std::span(scaled_).subspan(i * width, width));
    }
    const auto done = scorer_->score(scaled_.data(), count, &raw[first]);
    if (!done) {
      scorer_.reset();
      report_device_failure(kind_, done.error());
      return false;
    }
  }
  return true;
}

std::size_t RowsOnDevice::bytes() const noexcept {
  return sizeof(*this) + columns_.bytes() + scaled_.capacity() * sizeof(float);
}

}  // namespace lapwing::detect
