// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/neighbours/index.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace lapwing::detect::neighbours {
namespace {

constexpr float kNowhere = 1e18F;  // where a leaf that is not full keeps its missing rows

/// The column in which the rows vary most.
std::size_t widest_column(std::span<const float> rows, std::size_t width,
                          std::span<const std::uint32_t> of) {
  std::size_t widest = 0;
  double most = -1;
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0;
    double squares = 0;
    for (const std::uint32_t row : of) {
      const auto v = static_cast<double>(rows[row * width + c]);
      sum += v;
      squares += v * v;
    }
    const auto n = static_cast<double>(of.size());
    const double variance = squares / n - (sum / n) * (sum / n);
    if (variance > most) {
      most = variance;
      widest = c;
    }
  }
  return widest;
}

void halve(std::span<const float> rows, std::size_t width, std::span<std::uint32_t> of) {
  if (of.size() <= kLeafRows) return;
  const std::size_t leaves = (of.size() + kLeafRows - 1) / kLeafRows;
  const std::size_t left = leaves / 2 * kLeafRows;  // whole leaves: only the last may have room
  const std::size_t c = widest_column(rows, width, of);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    const float x = rows[a * width + c];
    const float y = rows[b * width + c];
    return x != y ? x < y : a < b;  // the same order with every library
  };
  std::nth_element(of.begin(), of.begin() + static_cast<std::ptrdiff_t>(left), of.end(), before);
  halve(rows, width, of.first(left));
  halve(rows, width, of.subspan(left));
}

}  // namespace

void Index::order(std::vector<float>& rows, std::size_t width) {
  std::vector<std::uint32_t> of(rows.size() / width);
  std::iota(of.begin(), of.end(), 0U);
  halve(rows, width, of);
  for (std::size_t at = 0; at < of.size(); at += kLeafRows) {
    const auto leaf = std::span(of).subspan(at, std::min(kLeafRows, of.size() - at));
    std::ranges::sort(leaf);
  }
  std::vector<float> ordered;
  ordered.reserve(rows.size());
  for (const std::uint32_t row : of) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row * width);
    ordered.insert(ordered.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  rows = std::move(ordered);
}

Index::Index(std::span<const float> rows, std::size_t width)
    : width_(width), rows_(rows.size() / width) {
  box_stride_ = (leaves() + kLanesMax - 1) / kLanesMax * kLanesMax;
  blocks_.assign(leaves() * kLeafRows * width, kNowhere);
  lowest_.assign(box_stride_ * width, std::numeric_limits<float>::max());
  highest_.assign(box_stride_ * width, std::numeric_limits<float>::lowest());
  for (std::size_t row = 0; row < rows_; ++row) {
    const std::size_t at = row / kLeafRows;
    for (std::size_t c = 0; c < width; ++c) {
      const float v = rows[row * width + c];
      blocks_[(at * width + c) * kLeafRows + row % kLeafRows] = v;
      float& low = lowest_[c * box_stride_ + at];
      float& high = highest_[c * box_stride_ + at];
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
}

Search::Search(const Index& index, std::size_t count)
    : query(index.width()),
      columns(index.width()),
      squared(count),
      rows(count),
      boxes(index.box_stride()) {}

std::size_t Search::bytes() const noexcept {
  return (query.capacity() + squared.capacity() + boxes.capacity()) * sizeof(float) +
         (columns.capacity() + rows.capacity()) * sizeof(std::uint32_t);
}

}  // namespace lapwing::detect::neighbours
