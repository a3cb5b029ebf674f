// SPDX-License-Identifier: Apache-2.0
#include "shared/federate/reservoir.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::federate {

Reservoir::Reservoir(std::size_t width, std::uint64_t seed)
    : width_(width),
      capacity_(std::clamp(kBytes / (width * sizeof(double)), kRowsLeast, kRowsMost)),
      random_(seed) {
  values_.reserve(capacity_ * width_);
}

void Reservoir::push(std::span<const double> row) noexcept {
  const std::uint64_t number = seen_++;
  if (number < capacity_) {
    values_.resize(values_.size() + width_);  // within what was reserved
    keep(number, row);
    if (seen_ == capacity_) {
      next_ = number;
      skip();
    }
  } else if (number == next_) {
    keep(random_.below(capacity_), row);
    skip();
  }
}

void Reservoir::keep(std::size_t place, std::span<const double> row) noexcept {
  for (std::size_t c = 0; c < width_; ++c) {
    values_[place * width_ + c] =
        std::isfinite(row[c]) ? row[c] : std::numeric_limits<double>::quiet_NaN();
  }
}

/// How many rows to let pass, drawn at once.
void Reservoir::skip() noexcept {
  weight_ *= std::exp(std::log(1 - random_.uniform()) / static_cast<double>(capacity_));
  const double length = std::floor(std::log(1 - random_.uniform()) / std::log1p(-weight_));
  next_ += 1 + static_cast<std::uint64_t>(std::min(length, 0x1p60));
}

}  // namespace lapwing::federate
