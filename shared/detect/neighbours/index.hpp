// SPDX-License-Identifier: Apache-2.0
/// Exact search for the nearest rows: leaves of 64 rows, scanned with the widest vectors there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::neighbours {

inline constexpr std::size_t kLeafRows = 64;
inline constexpr std::size_t kLanesMax = 16;  ///< numbers that one vector holds at most

/// Rows in leaves: a leaf holds its rows column by column, so that one column of all its rows is
/// one run of memory; beside it, the box its rows lie in.
///
/// A search bounds the distance to every box, scans the nearest leaves first, and then those whose
/// box is nearer than the nearest rows found. There is no tree to walk: the boxes of 10,000 rows
/// fit a few kilobytes.
/// Threads: immutable once made.
class Index {
 public:
  Index() = default;
  /// `rows` (row-major, finite) as order() left them; any order is right, a good one is faster.
  Index(std::span<const float> rows, std::size_t width);

  /// Orders rows so that those of one leaf are near each other: halves them by the column that is
  /// spread widest (Bentley 1975), again and again.
  static void order(std::vector<float>& rows, std::size_t width);

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t leaves() const noexcept { return (rows_ + kLeafRows - 1) / kLeafRows; }
  [[nodiscard]] const float* leaf(std::size_t at) const noexcept {
    return &blocks_[at * kLeafRows * width_];
  }
  [[nodiscard]] float value(std::size_t row, std::size_t column) const noexcept {
    return leaf(row / kLeafRows)[column * kLeafRows + row % kLeafRows];
  }
  /// One side of all boxes, for one column; box_stride() apart for the next.
  [[nodiscard]] const float* lowest(std::size_t column) const noexcept {
    return &lowest_[column * box_stride_];
  }
  [[nodiscard]] const float* highest(std::size_t column) const noexcept {
    return &highest_[column * box_stride_];
  }
  [[nodiscard]] std::size_t box_stride() const noexcept { return box_stride_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return (blocks_.capacity() + lowest_.capacity() + highest_.capacity()) * sizeof(float);
  }

 private:
  std::size_t width_ = 0;
  std::size_t rows_ = 0;
  std::size_t box_stride_ = 0;  ///< leaves, up to a whole number of vectors
  std::vector<float> blocks_;
  std::vector<float> lowest_;
  std::vector<float> highest_;
};

/// What one search works with and leaves behind; made once for an index, used for many rows.
struct Search {
  Search(const Index& index, std::size_t count);

  std::vector<float> query;            ///< one per column
  std::vector<std::uint32_t> columns;  ///< those to compare, `present` of them
  std::size_t present = 0;
  std::vector<float> squared;  ///< of the nearest rows, ascending; as many as `count`
  std::vector<std::uint32_t> rows;
  std::vector<float> boxes;  ///< lower bounds of the leaves' squared distances

  [[nodiscard]] std::size_t bytes() const noexcept;
};

/// Fills search.squared and search.rows; the index holds at least as many rows.
/// Cost: index.leaves() * present for the boxes and 64 * present a leaf that is scanned.
void find_nearest(const Index& index, Search& search) noexcept;

}  // namespace lapwing::detect::neighbours
