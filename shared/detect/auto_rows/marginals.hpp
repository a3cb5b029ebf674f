// SPDX-License-Identifier: Apache-2.0
/// How rare each column's number is by itself.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace lapwing::detect::rows {

/// A histogram a column (Goldstein and Dengel 2012), summed as if columns were independent. A
/// column's part is the log of how much rarer its bin is than its fullest one; outside the range
/// of training each width of a bin adds 1. A rare flag and a rare level are thus told alike.
/// Threads: immutable once made.
class Marginals {
 public:
  static constexpr std::size_t kBins = 20;

  explicit Marginals(std::size_t width = 0) : columns_(width) {}
  /// `rows` row-major, scaled, NaN where missing.
  Marginals(std::span<const float> rows, std::size_t width);

  /// The sum over the columns that are not missing (NaN), as if all had been there. >= 0
  [[nodiscard]] double rarity(std::span<const float> row) const noexcept;
  /// Adds each column's part.
  void add_shares(std::span<const float> row, std::span<float> out) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return columns_.capacity() * sizeof(Column); }

  template <class A>
  void fields(A& archive) {
    archive(columns_);
  }
  /// Whether what was read from a model can be.
  [[nodiscard]] bool sound() const noexcept;

 private:
  struct Column {
    float low = 0;
    float bin = 1;  ///< width
    std::array<float, kBins> rarity{};

    template <class A>
    void fields(A& archive) {
      archive(low, bin, rarity);
    }
  };
  [[nodiscard]] static float part(const Column& column, float value) noexcept;

  std::vector<Column> columns_;
};

}  // namespace lapwing::detect::rows
