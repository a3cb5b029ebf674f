// SPDX-License-Identifier: Apache-2.0
/// The model of an isolation forest: trees without pointers, and how columns are scaled for them.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/trees/task.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::isolation_forest {

using trees::kLanes;
using trees::kUnit;
using trees::Trees;

/// How a column becomes single precision: its median in training is 0, the farthest value +-1.
struct Column {
  double centre = 0;
  double factor = 0;  ///< 0: constant in training, always 0

  template <class A>
  void fields(A& archive) {
    archive(centre, factor);
  }
};

/// Trees as trees::Trees. Where training ended early, all leaves below hold the same length and the
/// inner words are kEnded.
/// Threads: immutable once made or read.
class Forest {
 public:
  static constexpr std::uint32_t kEnded = 0x7F800000;  ///< infinity of column 0: always left

  Forest() = default;
  Forest(std::uint32_t width, std::uint32_t trees, std::uint32_t sample, std::uint32_t extension);

  [[nodiscard]] std::uint32_t width() const noexcept { return width_; }
  [[nodiscard]] std::uint32_t trees() const noexcept { return trees_; }
  [[nodiscard]] std::uint32_t sample() const noexcept { return sample_; }
  [[nodiscard]] std::uint32_t depth() const noexcept { return depth_; }
  [[nodiscard]] std::uint32_t coordinates() const noexcept { return coordinates_; }
  [[nodiscard]] std::uint32_t column_mask() const noexcept { return mask_; }
  [[nodiscard]] std::size_t bytes() const noexcept;

  [[nodiscard]] Column& column(std::size_t at) noexcept { return columns_[at]; }
  [[nodiscard]] const Column& column(std::size_t at) const noexcept { return columns_[at]; }
  [[nodiscard]] std::uint32_t word(std::uint32_t tree, std::uint32_t node) const noexcept {
    return words_[word_at(tree, node)];
  }
  [[nodiscard]] std::uint32_t& word(std::uint32_t tree, std::uint32_t node) noexcept {
    return words_[word_at(tree, node)];
  }
  /// Extended forests: the columns and weights of an inner node, `coordinates()` of each.
  [[nodiscard]] std::span<std::uint16_t> plane_columns(std::uint32_t tree,
                                                       std::uint32_t node) noexcept;
  [[nodiscard]] std::span<float> plane_weights(std::uint32_t tree, std::uint32_t node) noexcept;

  /// A row as the trees know it. Missing values become 0, the median: they set nothing apart.
  void scale(std::span<const double> row, float* out) const noexcept;
  /// The score of Liu et al. from the sum of a row's path lengths: 2^(-mean / expected), (0, 1].
  [[nodiscard]] float score(std::uint32_t path_sum) const noexcept;
  [[nodiscard]] Trees view() const noexcept;

  [[nodiscard]] std::vector<std::byte> write() const;
  /// Errors: corrupt (bytes, or values that no training gives), unsupported (of another kind).
  static Result<Forest> read(std::span<const std::byte> bytes);

 private:
  [[nodiscard]] std::size_t word_at(std::uint32_t tree, std::uint32_t node) const noexcept {
    return (((std::size_t{tree} / kLanes) << (depth_ + 1)) + node) * kLanes + tree % kLanes;
  }
  [[nodiscard]] std::size_t plane_at(std::uint32_t tree, std::uint32_t node) const noexcept {
    return ((std::size_t{tree} << depth_) + node) * coordinates_;
  }
  [[nodiscard]] bool sound() const noexcept;

  std::uint32_t width_ = 0;
  std::uint32_t trees_ = 0;
  std::uint32_t sample_ = 0;
  std::uint32_t coordinates_ = 1;
  std::uint32_t depth_ = 0;
  std::uint32_t mask_ = 0;
  float factor_ = 0;  ///< of the sum in the exponent
  std::vector<Column> columns_;
  std::vector<std::uint32_t> words_;
  std::vector<std::uint16_t> plane_columns_;
  std::vector<float> plane_weights_;
};

/// Mean path length of an unsuccessful search in a binary tree of `rows`: what a leaf adds.
[[nodiscard]] double expected_path(std::size_t rows) noexcept;

}  // namespace lapwing::detect::isolation_forest
