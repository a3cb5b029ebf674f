// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/unite.hpp"

#include "shared/detect/isolation_forest/kind.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace lapwing::detect::isolation_forest {
namespace {

struct Reach {
  double centre;
  double reach;
};

Error refused(Errc code, const std::string& what) { return {code, "isolation_forest: " + what}; }

/// The column over all forests in which it varies.
Column common_column(std::span<const Share> shares, std::size_t column) {
  std::vector<Reach> reaches;
  for (const Share& share : shares) {
    const Column& own = share.forest->column(column);
    if (own.factor > 0) reaches.push_back({own.centre, 1 / own.factor});
  }
  if (reaches.empty()) return {};
  const auto middle = reaches.begin() + static_cast<std::ptrdiff_t>(reaches.size() / 2);
  std::ranges::nth_element(reaches, middle, {}, &Reach::centre);
  const double centre = middle->centre;
  double reach = std::numeric_limits<double>::min();
  for (const Reach& one : reaches) {
    reach = std::max(reach, std::abs(one.centre - centre) + one.reach);
  }
  return {.centre = centre, .factor = 1 / reach};
}

/// Copies a tree into one that is as deep or deeper.
class Grafter {
 public:
  Grafter(const Forest& from, std::uint32_t from_tree, Forest& to, std::uint32_t to_tree)
      : from_(from),
        from_tree_(from_tree),
        to_(to),
        to_tree_(to_tree),
        stretch_(expected_path(to.sample()) / expected_path(from.sample())) {}

  void graft(std::uint32_t node) {
    const std::uint32_t word = from_.word(from_tree_, node);
    if (node >= 1U << from_.depth()) return end(node, word);
    if (word == Forest::kEnded) {
      std::uint32_t leaf = node;
      while (leaf < 1U << from_.depth()) leaf *= 2;
      return end(node, from_.word(from_tree_, leaf));
    }
    to_.word(to_tree_, node) = moved(word);
    graft(2 * node);
    graft(2 * node + 1);
  }

 private:
  /// The split where it was, seen with the new scale.
  std::uint32_t moved(std::uint32_t word) const {
    const std::uint32_t mask = from_.column_mask();
    const std::uint32_t column = word & mask;
    const Column& old = from_.column(column);
    const Column& now = to_.column(column);
    const double value = old.centre + static_cast<double>(trees::as_float(word)) / old.factor;
    const double seen = std::isfinite(value) ? (value - now.centre) * now.factor : 0;
    const auto scaled = static_cast<float>(std::clamp(seen, -1e30, 1e30));  // below kEnded
    return (std::bit_cast<std::uint32_t>(scaled) & ~mask) | column;
  }
  void end(std::uint32_t node, std::uint32_t length) {
    const double longest = (to_.depth() + expected_path(to_.sample()) + 1) * kUnit;
    end_tree(to_, to_tree_, node,
             static_cast<std::uint32_t>(std::lround(std::min(length * stretch_, longest))));
  }

 public:
  static void end_tree(Forest& forest, std::uint32_t tree, std::uint32_t node,
                       std::uint32_t length) {
    std::uint32_t first = node;
    std::uint32_t count = 1;
    for (; first < 1U << forest.depth(); first *= 2, count *= 2) {
      for (std::uint32_t i = 0; i < count; ++i) forest.word(tree, first + i) = Forest::kEnded;
    }
    for (std::uint32_t i = 0; i < count; ++i) forest.word(tree, first + i) = length;
  }

 private:
  const Forest& from_;
  std::uint32_t from_tree_;
  Forest& to_;
  std::uint32_t to_tree_;
  double stretch_;
};

/// expected_path() for shares of rows, of which fewer than one need no more steps.
double expected_steps(double rows) {
  if (rows <= 1) return 0;
  if (rows <= 2) return rows - 1;
  const double low = std::floor(rows);
  const double below = expected_path(static_cast<std::size_t>(low));
  const double above = expected_path(static_cast<std::size_t>(low) + 1);
  return below + (rows - low) * (above - below);
}

}  // namespace

Result<Forest> unite(std::span<const Share> shares, std::uint32_t sample,
                     std::span<const Column> columns) {
  std::uint32_t trees = 0;
  const Forest* first = nullptr;
  for (const Share& share : shares) {
    if (share.trees == 0) continue;
    const Forest& one = *share.forest;
    if (first == nullptr) first = &one;
    if (one.width() != first->width() || (!columns.empty() && columns.size() != one.width())) {
      return refused(Errc::bad_shape, "forests of rows of different widths cannot be united");
    }
    if (one.coordinates() > 1) {
      return refused(Errc::unsupported, "extended forests cannot be united");
    }
    if (share.trees > one.trees() || one.sample() > sample) {
      return refused(Errc::bad_input, "more trees, or rows a tree, than there are");
    }
    trees += share.trees;
  }
  if (first == nullptr) return refused(Errc::bad_input, "no trees to unite");
  const auto most = static_cast<std::uint32_t>(kIsolationForestParameters[0].max);
  if (trees > most) {
    return refused(Errc::limit, "at most " + std::to_string(most) + " trees make a forest");
  }
  std::vector<Share> used;
  for (const Share& share : shares) {
    if (share.trees > 0) used.push_back(share);
  }
  Forest made(first->width(), trees, sample, 0);
  for (std::size_t c = 0; c < made.width(); ++c) {
    made.column(c) = columns.empty() ? common_column(used, c) : columns[c];
  }
  std::uint32_t next = 0;
  for (const Share& share : used) {
    for (std::uint32_t tree = 0; tree < share.trees; ++tree) {
      Grafter(*share.forest, tree, made, next++).graft(1);
    }
  }
  return made;
}

std::vector<double> leaf_counts(const Forest& forest, const Table& table) {
  const std::uint32_t leaves = 1U << forest.depth();
  std::vector<double> counts(std::size_t{forest.trees()} * leaves);
  std::vector<float> row(std::bit_ceil(forest.width()));
  for (std::size_t r = 0; r < table.rows(); ++r) {
    forest.scale(table.values.subspan(r * table.width, table.width), row.data());
    for (std::uint32_t tree = 0; tree < forest.trees(); ++tree) {
      std::uint32_t node = 1;
      while (node < leaves) {
        const std::uint32_t word = forest.word(tree, node);
        node = 2 * node + (row[word & forest.column_mask()] >= trees::as_float(word) ? 1U : 0U);
      }
      counts[std::size_t{tree} * leaves + node - leaves] += 1;
    }
  }
  return counts;
}

Forest with_counts(Forest forest, std::span<const double> counts, double rows) {
  const std::uint32_t leaves = 1U << forest.depth();
  const double share = forest.sample() / rows;
  const double longest = (forest.depth() + expected_path(forest.sample()) + 1) * kUnit;
  for (std::uint32_t tree = 0; tree < forest.trees(); ++tree) {
    std::vector<std::uint32_t> open{1};
    while (!open.empty()) {
      const std::uint32_t node = open.back();
      open.pop_back();
      if (node < leaves && forest.word(tree, node) != Forest::kEnded) {
        open.push_back(2 * node);
        open.push_back(2 * node + 1);
        continue;
      }
      // Below an end every row goes left.
      std::uint32_t leaf = node;
      while (leaf < leaves) leaf *= 2;
      const auto level = static_cast<double>(std::bit_width(node) - 1);
      const double here = counts[std::size_t{tree} * leaves + leaf - leaves] * share;
      const double length = std::min((level + expected_steps(here)) * kUnit, longest);
      Grafter::end_tree(forest, tree, node, static_cast<std::uint32_t>(std::lround(length)));
    }
  }
  return forest;
}

}  // namespace lapwing::detect::isolation_forest
