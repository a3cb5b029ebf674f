// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/forest.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lapwing::detect::rows {
namespace {

constexpr std::size_t kRowsPerTree = 256;
constexpr int kDepth = 8;
constexpr double kEmpty = 0.5;  // rows counted in a side that has none
constexpr double kSideMin = 1e-9;
constexpr std::uint32_t kLeaf = std::numeric_limits<std::uint32_t>::max();

}  // namespace

/// Grows one tree after the other into the same nodes.
class Forest::Grower {
 public:
  Grower(std::span<const float> rows, std::size_t width, std::uint64_t seed, Forest& forest)
      : rows_(rows), width_(width), random_(seed), nodes_(forest.nodes_), of_(rows.size() / width) {
    std::iota(of_.begin(), of_.end(), 0U);
  }

  std::uint32_t tree() {
    const std::size_t count = std::min(kRowsPerTree, of_.size());
    for (std::size_t i = 0; i < count; ++i) {
      std::swap(of_[i], of_[i + random_.below(of_.size() - i)]);
    }
    const auto root = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    grow(root, std::span(of_).first(count), 0, 0);
    return root;
  }

 private:
  void grow(std::uint32_t at, std::span<std::uint32_t> of, int depth, double density) {
    const bool cut = depth < kDepth && of.size() > 1 && choose(of);
    if (!cut) {
      nodes_[at] = {.value = static_cast<float>(density), .column = kLeaf, .below = 0};
      return;
    }
    const std::size_t column = column_;
    const float value = cut_;
    const double share = share_;
    const auto middle = std::partition(of.begin(), of.end(), [&](std::uint32_t row) {
      return rows_[row * width_ + column] < value;
    });
    const auto left = static_cast<std::size_t>(middle - of.begin());
    const auto below = static_cast<std::uint32_t>(nodes_.size());
    nodes_[at] = {.value = value, .column = static_cast<std::uint32_t>(column), .below = below};
    nodes_.resize(nodes_.size() + 2);
    const auto side = [&](std::size_t rows, double volume) {
      const double mass =
          std::max(static_cast<double>(rows), kEmpty) / static_cast<double>(of.size());
      return density + std::log(mass / std::max(volume, kSideMin));
    };
    grow(below, of.first(left), depth + 1, side(left, share));
    grow(below + 1, of.subspan(left), depth + 1, side(of.size() - left, 1 - share));
  }

  /// A column that varies among the rows, and a cut within its range; false when none does.
  bool choose(std::span<const std::uint32_t> of) {
    varying_.clear();
    for (std::size_t c = 0; c < width_; ++c) {
      const float first = rows_[of.front() * width_ + c];
      const bool varies = std::ranges::any_of(
          of, [&](std::uint32_t row) { return rows_[row * width_ + c] != first; });
      if (varies) varying_.push_back(c);
    }
    if (varying_.empty()) return false;
    column_ = varying_[random_.below(varying_.size())];
    float low = std::numeric_limits<float>::max();
    float high = std::numeric_limits<float>::lowest();
    for (const std::uint32_t row : of) {
      low = std::min(low, rows_[row * width_ + column_]);
      high = std::max(high, rows_[row * width_ + column_]);
    }
    share_ = random_.uniform();
    cut_ = low + static_cast<float>(share_) * (high - low);
    return true;
  }

  std::span<const float> rows_;
  std::size_t width_;
  Random random_;
  std::vector<Node>& nodes_;
  std::vector<std::uint32_t> of_;
  std::vector<std::size_t> varying_;
  std::size_t column_ = 0;
  float cut_ = 0;
  double share_ = 0;
};

Forest::Forest(std::span<const float> rows, std::size_t width, std::uint64_t seed) {
  Grower grower(rows, width, seed, *this);
  for (std::uint32_t& root : roots_) root = grower.tree();
  nodes_.shrink_to_fit();
}

double Forest::sparsity(std::span<const float> row) const noexcept {
  double sum = 0;
  for (std::uint32_t at : roots_) {
    while (nodes_[at].column != kLeaf) {
      const Node& node = nodes_[at];
      at = node.below + (row[node.column] < node.value ? 0 : 1);
    }
    sum -= static_cast<double>(nodes_[at].value);
  }
  return sum / static_cast<double>(kTrees);
}

bool Forest::sound(std::size_t width) const noexcept {
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    const Node& node = nodes_[at];
    if (!std::isfinite(node.value)) return false;
    if (node.column == kLeaf) continue;
    const bool ahead = node.below > at && std::size_t{node.below} + 1 < nodes_.size();
    if (node.column >= width || !ahead) return false;
  }
  return std::ranges::all_of(roots_, [this](std::uint32_t at) { return at < nodes_.size(); });
}

}  // namespace lapwing::detect::rows
