// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/sample.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect::rows {
namespace {

constexpr std::size_t kShare = 5;  // one in so many is a neighbour

}  // namespace

Sample::Sample(std::span<const float> rows, std::size_t width)
    : rows_(rows, width),
      neighbours_(std::clamp<std::size_t>(rows_.count() / kShare, 1, rows_.count() - 1)),
      present_(width),
      squared_(rows_.padded()),
      nearest_(rows_.padded()) {}

double Sample::distance(std::span<const float> row) noexcept {
  std::size_t present = 0;
  for (std::size_t c = 0; c < row.size(); ++c) {
    present_[present] = static_cast<std::uint32_t>(c);
    present += std::isnan(row[c]) ? 0 : 1;
  }
  if (present == 0) return 0;
  const float least = neighbours::squared_distances(
      rows_, row.data(), std::span(present_).first(present), squared_.data());
  std::ranges::copy(squared_, nearest_.begin());
  // An equal row is this row itself: one more is taken, and its 0 adds nothing.
  const std::size_t count = neighbours_ + (least == 0 ? 1 : 0);
  const auto end = nearest_.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(nearest_.begin(), end - 1, nearest_.end());
  farthest_ = *(end - 1);
  double sum = 0;
  for (auto at = nearest_.begin(); at != end; ++at) sum += static_cast<double>(std::sqrt(*at));
  const double missing = static_cast<double>(row.size()) / static_cast<double>(present);
  return sum / static_cast<double>(neighbours_) * std::sqrt(missing);
}

void Sample::add_shares(std::span<const float> row, std::span<float> out) const noexcept {
  for (std::size_t i = 0; i < rows_.count(); ++i) {
    if (squared_[i] > farthest_ || squared_[i] == 0) continue;
    const float distance = std::sqrt(squared_[i]);
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (std::isnan(row[c])) continue;
      const float off = row[c] - rows_.column(c)[i];
      out[c] += off * off / distance;
    }
  }
}

std::size_t Sample::bytes() const noexcept {
  return sizeof(*this) + rows_.bytes() +
         (present_.capacity() + squared_.capacity() + nearest_.capacity()) * sizeof(float);
}

}  // namespace lapwing::detect::rows
