// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/trees/share.hpp"

#include "shared/detect/trained.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace lapwing::detect::trees {
namespace {

constexpr std::size_t kDepthMax = 15;

/// kOrders[a][b]: of all orders of a + b columns, the share in which a given one of the a comes
/// last of the a and before all b: (a - 1)! b! / (a + b)!.
constexpr auto kOrders = [] {
  std::array<double, 2 * kDepthMax + 1> factorial{1};
  for (std::size_t i = 1; i < factorial.size(); ++i) {
    factorial[i] = static_cast<double>(i) * factorial[i - 1];
  }
  std::array<std::array<float, kDepthMax + 1>, kDepthMax + 1> table{};
  for (std::size_t a = 1; a <= kDepthMax; ++a) {
    for (std::size_t b = 0; b <= kDepthMax; ++b) {
      table[a][b] = static_cast<float>(factorial[a - 1] * factorial[b] / factorial[a + b]);
    }
  }
  return table;
}();

/// Columns on the way to a node whose value had to be the row's, or the median.
struct Taken {
  std::array<std::uint32_t, kDepthMax> columns;
  std::size_t count = 0;

  [[nodiscard]] bool has(std::uint32_t column) const noexcept {
    return std::find(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(count),
                     column) != columns.begin() + static_cast<std::ptrdiff_t>(count);
  }
};

/// One tree: visits every leaf that some mixture of row and median reaches, and takes what it adds
/// to a path from the columns that must be the row's and gives it to those that must not be.
class TreeShares {
 public:
  TreeShares(const Trees& trees, std::uint32_t tree, std::span<const float> row,
             std::span<float> shares) noexcept
      : words_(tree_words(trees, tree)),
        mask_(trees.column_mask),
        leaves_(1U << trees.depth),
        row_(row),
        shares_(shares) {}

  void visit(std::uint32_t node) noexcept {
    const std::uint32_t word = words_[node * kLanes];
    if (node >= leaves_) return add(static_cast<float>(word));
    const std::uint32_t column = word & mask_;
    const std::uint32_t with_row = 2 * node + (row_[column] >= as_float(word) ? 1U : 0U);
    const std::uint32_t with_median = 2 * node + (0.0F >= as_float(word) ? 1U : 0U);
    if (with_row == with_median || from_row_.has(column)) return visit(with_row);
    if (from_median_.has(column)) return visit(with_median);
    from_row_.columns[from_row_.count++] = column;
    visit(with_row);
    --from_row_.count;
    from_median_.columns[from_median_.count++] = column;
    visit(with_median);
    --from_median_.count;
  }

 private:
  void add(float length) noexcept {
    const std::size_t a = from_row_.count;
    const std::size_t b = from_median_.count;
    for (std::size_t i = 0; i < a; ++i) shares_[from_row_.columns[i]] -= kOrders[a][b] * length;
    for (std::size_t i = 0; i < b; ++i) shares_[from_median_.columns[i]] += kOrders[b][a] * length;
  }

  const std::uint32_t* words_;
  std::uint32_t mask_;
  std::uint32_t leaves_;
  std::span<const float> row_;
  std::span<float> shares_;
  Taken from_row_;
  Taken from_median_;
};

}  // namespace

void share_out(const Trees& trees, std::span<float> row, std::span<float> shares) noexcept {
  std::ranges::fill(shares, 0.0F);
  if (trees.coordinates > 1) {
    const std::uint32_t sum = walk_all(trees, row.data());
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const float value = row[i];
      row[i] = 0;
      shares[i] = static_cast<float>(walk_all(trees, row.data())) - static_cast<float>(sum);
      row[i] = value;
    }
  } else {
    for (std::uint32_t tree = 0; tree < trees.trees; ++tree) {
      TreeShares(trees, tree, row, shares).visit(1);
    }
  }
  for (float& share : shares) share = std::max(0.0F, share);
  to_shares(shares);
}

}  // namespace lapwing::detect::trees
