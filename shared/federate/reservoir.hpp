// SPDX-License-Identifier: Apache-2.0
/// Some rows of all that came, each as likely as any other.
#pragma once

#include "shared/detect/random.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::federate {

/// A uniform sample without replacement of bounded size: algorithm L (Li, *Reservoir-sampling
/// algorithms of time complexity O(n(1 + log(N/n)))*, ACM TOMS 1994). The same seed and rows give
/// the same sample. Numbers that are infinite are kept as missing.
///
/// Memory: kBytes, or kRowsLeast rows where those are more; taken when it is made.
/// Cost: one comparison a row; where a row is kept, a copy of it. No allocation after it was made.
/// Threads: distinct objects are safe.
class Reservoir {
 public:
  static constexpr std::size_t kBytes = std::size_t{128} << 10U;
  static constexpr std::size_t kRowsLeast = 256;
  static constexpr std::size_t kRowsMost = 2048;

  Reservoir(std::size_t width, std::uint64_t seed);

  void push(std::span<const double> row) noexcept;

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }
  /// Rows, row-major, in no order. Borrowed until the next push().
  [[nodiscard]] std::span<const double> values() const noexcept { return values_; }

 private:
  void keep(std::size_t place, std::span<const double> row) noexcept;
  void skip() noexcept;

  std::size_t width_;
  std::size_t capacity_;
  detect::Random random_;
  std::uint64_t seen_ = 0;
  std::uint64_t next_ = 0;  ///< the number of the next row that is kept, once it is full
  double weight_ = 1;
  std::vector<double> values_;
};

}  // namespace lapwing::federate
