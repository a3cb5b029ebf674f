// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/isolation_forest/grow.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

namespace lapwing::detect::isolation_forest {
namespace {

/// A split value in (low, high] whose lowest bits are the column; none where the two are so close
/// that no such number lies between.
std::optional<std::uint32_t> split_word(float low, float high, double share, std::uint32_t mask,
                                        std::uint32_t column) {
  const auto drawn =
      static_cast<float>(static_cast<double>(high) - share * (static_cast<double>(high) - low));
  const std::uint32_t word = (std::bit_cast<std::uint32_t>(drawn) & ~mask) | column;
  for (const std::uint32_t tried : {word, word + mask + 1, word - mask - 1}) {
    const auto value = std::bit_cast<float>(tried);
    if (value > low && value <= high) return tried;
  }
  return std::nullopt;
}

}  // namespace

Grower::Grower(Forest& forest, std::uint64_t seed)
    : forest_(&forest),
      random_(seed),
      sample_(std::size_t{forest.sample()} * forest.width()),
      rows_(forest.sample()),
      columns_(forest.width()) {
  leaf_lengths_.resize(forest.sample() + 1);
  for (std::uint32_t rows = 0; rows <= forest.sample(); ++rows) {
    leaf_lengths_[rows] = static_cast<std::uint32_t>(std::lround(expected_path(rows) * kUnit));
  }
}

void Grower::grow(std::uint32_t tree) {
  tree_ = tree;
  std::iota(rows_.begin(), rows_.end(), 0U);
  std::iota(columns_.begin(), columns_.end(), 0U);
  open_.assign(
      1,
      {.node = 1, .level = 0, .begin = 0, .end = forest_->sample(), .varying = forest_->width()});
  while (!open_.empty()) {
    Part part = open_.back();
    open_.pop_back();
    std::uint32_t middle = part.begin;
    const bool inner = part.level < forest_->depth() && part.end - part.begin > 1;
    if (inner) middle = forest_->coordinates() > 1 ? split_by_plane(part) : split(part);
    if (!inner || part.varying == 0) {
      end(part);
      continue;
    }
    const std::uint32_t level = part.level + 1;
    open_.push_back({2 * part.node + 1, level, middle, part.end, part.varying});
    open_.push_back({2 * part.node, level, part.begin, middle, part.varying});
  }
}

Grower::Range Grower::range(const Part& part, std::uint32_t column) const noexcept {
  Range range{at(rows_[part.begin], column), at(rows_[part.begin], column)};
  for (std::uint32_t i = part.begin + 1; i < part.end; ++i) {
    const float value = at(rows_[i], column);
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  return range;
}

/// Moves the rows that are `left` to the part's front; where the others begin. Without branches
/// (Lomuto): which side a row falls on cannot be predicted.
template <class Left>
std::uint32_t Grower::divide(const Part& part, const Left& left) {
  std::uint32_t middle = part.begin;
  for (std::uint32_t i = part.begin; i < part.end; ++i) {
    const bool is_left = left(rows_[i]);
    std::swap(rows_[i], rows_[middle]);
    middle += is_left ? 1 : 0;
  }
  return middle;
}

std::uint32_t Grower::split(Part& part) {
  while (part.varying > 0) {
    const std::size_t drawn = random_.below(part.varying);
    const std::uint32_t column = columns_[drawn];
    const auto [low, high] = range(part, column);
    const auto word = low < high
                          ? split_word(low, high, random_.uniform(), forest_->column_mask(), column)
                          : std::nullopt;
    if (word) {
      forest_->word(tree_, part.node) = *word;
      const auto value = std::bit_cast<float>(*word);
      return divide(part, [&](std::uint32_t row) { return at(row, column) < value; });
    }
    std::swap(columns_[drawn], columns_[--part.varying]);
  }
  return part.begin;
}

/// As Hariri et al.: a plane through a random point of the box that holds the rows, with a normal
/// that is not 0 in `coordinates` columns. The normal is drawn in units of that box, so that it
/// does not matter in which units the columns are. One side may stay empty.
std::uint32_t Grower::split_by_plane(Part& part) {
  const std::span<std::uint16_t> columns = forest_->plane_columns(tree_, part.node);
  const std::span<float> weights = forest_->plane_weights(tree_, part.node);
  double through = 0;
  std::size_t found = 0;
  std::uint32_t left = part.varying;  // columns not drawn for this plane
  while (left > 0 && found < columns.size()) {
    const std::size_t drawn = random_.below(left);
    const std::uint32_t column = columns_[drawn];
    const auto [low, high] = range(part, column);
    const float size = high - low;
    std::swap(columns_[drawn], columns_[--left]);
    if (size > 0) {
      columns[found] = static_cast<std::uint16_t>(column);
      weights[found] = static_cast<float>(random_.normal()) / size;
      through += static_cast<double>(weights[found]) *
                 (low + random_.uniform() * static_cast<double>(size));
      ++found;
    } else {
      std::swap(columns_[left], columns_[--part.varying]);
    }
  }
  if (found == 0 || !std::isfinite(through)) {
    part.varying = 0;
    std::ranges::fill(weights, 0.0F);
    return part.begin;
  }
  const auto value = static_cast<float>(through);
  forest_->word(tree_, part.node) = std::bit_cast<std::uint32_t>(value);
  return divide(part, [&](std::uint32_t row) {
    float side = 0;
    for (std::size_t i = 0; i < columns.size(); ++i) side += weights[i] * at(row, columns[i]);
    return side < value;
  });
}

/// All that is below the node has the length of the leaf that it is.
void Grower::end(const Part& part) {
  const std::uint32_t length = part.level * kUnit + leaf_lengths_[part.end - part.begin];
  std::uint32_t first = part.node;
  std::uint32_t count = 1;
  for (std::uint32_t level = part.level; level < forest_->depth(); ++level) {
    for (std::uint32_t i = 0; i < count; ++i) forest_->word(tree_, first + i) = Forest::kEnded;
    first *= 2;
    count *= 2;
  }
  for (std::uint32_t i = 0; i < count; ++i) forest_->word(tree_, first + i) = length;
}

}  // namespace lapwing::detect::isolation_forest
