// SPDX-License-Identifier: Apache-2.0
/// Trees that halve space, and how much of the rows lies in each part.
#pragma once

#include "shared/detect/random.hpp"
#include "shared/detect/trees/task.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::halfspace_trees {

/// What shapes the trees.
struct Shape {
  std::uint32_t width = 1;
  std::uint32_t trees = 32;
  std::uint32_t depth = 8;
  std::uint32_t window = 256;
  std::uint64_t seed = 1;
};

/// Half-space trees (Tan, Ting and Liu 2011): each tree halves (-1, 1) in a random column again and
/// again, around a random centre. Rows are scored by a reference mass that stays for a window, and
/// counted into the latest mass, which then joins the reference.
///
/// A leaf's word is its path length: the depth at which a row comes among few others, plus the
/// logarithm of how many they are. So the mean over trees is the logarithm of the density.
/// Threads: distinct objects are safe. Cost: no allocation after construction.
class MassTrees {
 public:
  explicit MassTrees(const Shape& shape);

  [[nodiscard]] trees::Trees view() const noexcept;
  /// The density, relative to rows spread evenly, as its logarithm to base 2, from a row's sum.
  [[nodiscard]] float log_density(std::uint32_t sum) const noexcept {
    return static_cast<float>(sum) * mean_ - log_even_;
  }
  /// Counts rows into the latest mass, each as much as its share. `places`: those of its words in
  /// each tree's group, trees::tree_stride() from row to row.
  void count(const std::uint32_t* places, std::span<const float> shares) noexcept;
  /// The latest mass joins the reference, which remembers eight windows.
  void renew() noexcept;
  /// Forgets all mass.
  void clear() noexcept;

  [[nodiscard]] std::size_t bytes() const noexcept;
  /// What a snapshot keeps; refresh() after reading.
  template <class A>
  void fields(A& archive) {
    archive(reference_rows_, latest_rows_, reference_, latest_);
  }
  [[nodiscard]] bool sound() const noexcept;
  /// Path lengths from the reference.
  void refresh() noexcept;

 private:
  struct Range {
    float low;
    float high;
  };

  void grow(std::uint32_t tree);
  void refresh(std::size_t group) noexcept;
  void halve(std::uint32_t* words, std::size_t node, std::vector<Range>& ranges,
             Random& random) const;
  [[nodiscard]] std::size_t leaves() const noexcept { return std::size_t{1} << shape_.depth; }
  /// Numbers in a group of trees.
  [[nodiscard]] std::size_t group_size() const noexcept { return leaves() * trees::kLanes; }

  Shape shape_;
  std::size_t groups_;
  std::uint32_t mask_;
  float mean_;
  float log_even_;
  float reference_rows_ = 0;
  float latest_rows_ = 0;
  std::vector<std::uint32_t> words_;
  std::vector<float> reference_;  ///< rows in a leaf: group, leaf, lane
  std::vector<float> latest_;     ///< likewise
  std::vector<float> inner_;      ///< of the nodes of one group, while it is refreshed
};

}  // namespace lapwing::detect::halfspace_trees
