// SPDX-License-Identifier: Apache-2.0
/// Training: one tree of a forest from a drawn sample.
#pragma once

#include "shared/detect/isolation_forest/forest.hpp"
#include "shared/detect/random.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::isolation_forest {

/// Grows trees one after another; keeps its buffers. Threads: distinct objects are safe.
class Grower {
 public:
  Grower(Forest& forest, std::uint64_t seed);

  /// Where the scaled sample goes before each grow(): sample * width, row-major.
  [[nodiscard]] std::span<float> sample() noexcept { return sample_; }
  [[nodiscard]] Random& random() noexcept { return random_; }
  void grow(std::uint32_t tree);

 private:
  struct Part {  ///< rows of the sample that came to a node
    std::uint32_t node;
    std::uint32_t level;
    std::uint32_t begin;
    std::uint32_t end;
    std::uint32_t varying;  ///< the first columns of columns_ may vary here, others do not
  };
  struct Range {
    float low;
    float high;
  };

  [[nodiscard]] float at(std::uint32_t row, std::uint32_t column) const noexcept {
    return sample_[std::size_t{row} * forest_->width() + column];
  }
  [[nodiscard]] Range range(const Part& part, std::uint32_t column) const noexcept;
  template <class Left>
  std::uint32_t divide(const Part& part, const Left& left);
  /// Splits the part's rows; where the right ones begin, or part.begin when nothing varies.
  std::uint32_t split(Part& part);
  std::uint32_t split_by_plane(Part& part);
  void end(const Part& part);

  Forest* forest_;
  std::uint32_t tree_ = 0;
  Random random_;
  std::vector<float> sample_;
  std::vector<std::uint32_t> rows_;
  std::vector<std::uint32_t> columns_;
  std::vector<Part> open_;
  std::vector<std::uint32_t> leaf_lengths_;  ///< by level and rows
};

}  // namespace lapwing::detect::isolation_forest
