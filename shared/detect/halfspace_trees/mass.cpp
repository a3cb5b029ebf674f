// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/mass.hpp"

#include "shared/detect/halfspace_trees/lengths.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lapwing::detect::halfspace_trees {

using trees::kLanes;
using trees::kUnit;

namespace {

constexpr float kWindows = 8;  // remembered
constexpr float kFew = 0.1F;   // of a window's rows: fewer in a node say nothing of its halves
constexpr float kForgotten = 1e-6F;

}  // namespace

MassTrees::MassTrees(const Shape& shape)
    : shape_(shape),
      groups_((std::size_t{shape.trees} + kLanes - 1) / kLanes),
      mask_(std::bit_ceil(shape.width) - 1),
      mean_(1 / (static_cast<float>(kUnit) * static_cast<float>(shape.trees))),
      log_even_(std::log2(2 * static_cast<float>(shape.window))),
      words_(groups_ * 2 * leaves() * kLanes),
      reference_(groups_ * leaves() * kLanes),
      latest_(reference_.size()),
      mass_(2 * leaves() * kLanes) {
  for (std::uint32_t tree = 0; tree < shape.trees; ++tree) grow(tree);
}

void MassTrees::grow(std::uint32_t tree) {
  // Ranges around a random centre that reach both ends, so that trees halve at different places.
  Random random(shape_.seed * 1'000'003 + tree);
  std::vector<Range> ranges(shape_.width);
  for (Range& range : ranges) {
    const double centre = 2 * random.uniform() - 1;
    range.low = static_cast<float>(centre - 1 - std::abs(centre));
    range.high = static_cast<float>(centre + 1 + std::abs(centre));
  }
  std::uint32_t* words = &words_[((tree / kLanes) * 2 * leaves()) * kLanes + tree % kLanes];
  halve(words, 1, ranges, random);
}

void MassTrees::halve(std::uint32_t* words, std::size_t node, std::vector<Range>& ranges,
                      Random& random) const {
  if (node >= leaves()) return;
  const std::size_t column = random.below(shape_.width);
  const Range whole = ranges[column];
  const float middle = (whole.low + whole.high) / 2;
  words[node * kLanes] =
      (std::bit_cast<std::uint32_t>(middle) & ~mask_) | static_cast<std::uint32_t>(column);
  ranges[column] = {whole.low, middle};
  halve(words, 2 * node, ranges, random);
  ranges[column] = {middle, whole.high};
  halve(words, 2 * node + 1, ranges, random);
  ranges[column] = whole;
}

trees::Trees MassTrees::view() const noexcept {
  return {.words = words_.data(),
          .columns = nullptr,
          .weights = nullptr,
          .trees = shape_.trees,
          .depth = shape_.depth,
          .column_mask = mask_,
          .coordinates = 1};
}

void MassTrees::count(const std::uint32_t* nodes, float share) noexcept {
  const std::size_t first = leaves();
  for (std::uint32_t tree = 0; tree < shape_.trees; ++tree) {
    const std::size_t leaf = (tree / kLanes) * first + nodes[tree] - first;
    latest_[leaf * kLanes + tree % kLanes] += share;
  }
  latest_rows_ += share;
}

void MassTrees::renew() noexcept {
  const float rows = reference_rows_ + latest_rows_;
  const float kept = std::min(rows, kWindows * static_cast<float>(shape_.window));
  const float factor = rows > 0 ? kept / rows : 0;
  for (std::size_t i = 0; i < reference_.size(); ++i) {
    const float rest = factor * (reference_[i] + latest_[i]);
    reference_[i] = rest < kForgotten ? 0 : rest;  // not ever smaller: such numbers are slow
    latest_[i] = 0;
  }
  reference_rows_ = kept;
  latest_rows_ = 0;
  refresh();
}

void MassTrees::refresh() noexcept {
  const std::size_t count = leaves() * kLanes;
  const float few = kFew * std::min(reference_rows_, static_cast<float>(shape_.window));
  // As if the reference were one window of rows.
  const float scale = 2 * static_cast<float>(shape_.window) / std::max(reference_rows_, 1.0F);
  for (std::size_t group = 0; group < groups_; ++group) {
    std::copy_n(&reference_[group * count], count, &mass_[count]);
    path_lengths(mass_.data(), shape_.depth, few, scale, &words_[(2 * group + 1) * count]);
  }
}

void MassTrees::clear() noexcept {
  std::ranges::fill(reference_, 0.0F);
  std::ranges::fill(latest_, 0.0F);
  reference_rows_ = latest_rows_ = 0;
}

bool MassTrees::sound() const noexcept {
  const auto possible = [](float rows) { return rows >= 0 && rows < 1e6F; };
  return possible(reference_rows_) && possible(latest_rows_) &&
         std::ranges::all_of(reference_, possible) && std::ranges::all_of(latest_, possible);
}

std::size_t MassTrees::bytes() const noexcept {
  return words_.capacity() * sizeof(std::uint32_t) +
         (reference_.capacity() + latest_.capacity() + mass_.capacity()) * sizeof(float);
}

}  // namespace lapwing::detect::halfspace_trees
