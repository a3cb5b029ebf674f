// SPDX-License-Identifier: Apache-2.0
/// How dense training rows lie around a row, by random halvings of space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect::rows {

/// Trees of random cuts, as an isolation forest's (Liu, Ting and Zhou 2008), each over 256 rows;
/// but a leaf tells the log of its density (share of rows over share of volume) instead of its
/// depth: the mass-volume view of density estimation trees (Ram and Gray 2011).
/// Threads: immutable once made.
class Forest {
 public:
  Forest() = default;
  /// `rows` row-major, scaled, finite. The same seed makes the same forest.
  Forest(std::span<const float> rows, std::size_t width, std::uint64_t seed);

  /// -log of the density, mean of the trees; higher is sparser. `row` has no NaN.
  [[nodiscard]] double sparsity(std::span<const float> row) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return nodes_.capacity() * sizeof(Node); }

  /// For models.
  [[nodiscard]] std::size_t nodes() const noexcept { return nodes_.size(); }
  static constexpr std::size_t kNodeBytes = 12;
  void resize(std::size_t nodes) { nodes_.resize(nodes); }
  template <class A>
  void fields(A& archive) {
    archive(roots_, nodes_);
  }
  /// Whether what was read from a model can be: then every walk ends at a leaf.
  [[nodiscard]] bool sound(std::size_t width) const noexcept;
  static constexpr std::size_t kTrees = 100;

 private:
  struct Node {
    float value = 0;           ///< where to cut; of a leaf, the log of the density
    std::uint32_t column = 0;  ///< to cut; of a leaf, kLeaf
    std::uint32_t below = 0;   ///< node for values below the cut; the one after it is for the rest

    template <class A>
    void fields(A& archive) {
      archive(value, column, below);
    }
  };
  class Grower;

  std::vector<std::uint32_t> roots_ = std::vector<std::uint32_t>(kTrees);
  std::vector<Node> nodes_;
};

}  // namespace lapwing::detect::rows
