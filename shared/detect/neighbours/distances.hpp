// SPDX-License-Identifier: Apache-2.0
/// Distances from one row to all of some rows, with the widest vectors there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::neighbours {

/// Rows kept column by column and padded to whole vectors; a padded row is far from every other.
/// Threads: immutable once made.
class PackedRows {
 public:
  static constexpr std::size_t kAtOnce = 64;  ///< rows that one step of the kernel takes

  PackedRows() = default;
  /// `rows` row-major, finite, at most 1e12 in size.
  PackedRows(std::span<const float> rows, std::size_t width);

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// What buffers for one number per row must hold.
  [[nodiscard]] std::size_t padded() const noexcept { return padded_; }
  [[nodiscard]] const float* column(std::size_t at) const noexcept {
    return &values_[at * padded_];
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return values_.capacity() * sizeof(float); }

 private:
  std::size_t width_ = 0;
  std::size_t count_ = 0;
  std::size_t padded_ = 0;
  std::vector<float> values_;
};

/// Squared distances over the columns named, into `squared` (padded() numbers); the least of them.
float squared_distances(const PackedRows& rows, const float* query,
                        std::span<const std::uint32_t> columns, float* squared) noexcept;

}  // namespace lapwing::detect::neighbours
