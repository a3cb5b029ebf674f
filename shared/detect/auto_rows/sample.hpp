// SPDX-License-Identifier: Apache-2.0
/// The mean distance to the nearest fifth of a sample of the training rows.
#pragma once

#include "shared/detect/neighbours/distances.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::rows {

/// So many neighbours outvote a group of strange rows among the training rows, and a small sample
/// leaves gaps in such groups (Sugiyama and Borgwardt 2013; Wu and Jermaine 2006): the score needs
/// no clean training rows. Works for one row after another, with its own scratch.
/// Threads: one object is used from one thread at a time.
class Sample {
 public:
  /// `rows` row-major, scaled, finite; at least 2.
  Sample(std::span<const float> rows, std::size_t width);

  /// `row` scaled, NaN where missing; 0 when all is. A row of the sample is not its own neighbour.
  double distance(std::span<const float> row) noexcept;
  /// Adds to each column its part of the last call's distances: off^2 / distance, summed.
  void add_shares(std::span<const float> row, std::span<float> out) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  neighbours::PackedRows rows_;
  std::size_t neighbours_;
  std::vector<std::uint32_t> present_;
  std::vector<float> squared_;
  std::vector<float> nearest_;  ///< the same, partly sorted
  float farthest_ = 0;          ///< squared, of the neighbours of the last call
};

}  // namespace lapwing::detect::rows
