// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/mass.hpp"

#include "shared/detect/halfspace_trees/lengths.hpp"
#include "shared/detect/trees/walk.hpp"

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
      words_(2 * groups_ * group_size()),
      reference_(groups_ * group_size()),
      latest_(reference_.size()),
      inner_(group_size()) {
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
  std::uint32_t* words = &words_[2 * (tree / kLanes) * group_size() + tree % kLanes];
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

void MassTrees::count(const std::uint32_t* places, std::span<const float> shares) noexcept {
  const std::size_t stride = trees::tree_stride(shape_.trees);
  // All rows in some trees, then the next: their mass stays in the nearest cache.
  for (std::uint32_t tree = 0; tree < shape_.trees; tree += kLanes) {
    // A leaf's mass lies as far in its group as its word lies behind those of the inner nodes.
    float* latest = &latest_[tree / kLanes * group_size()];
    const std::size_t inner_words = group_size();
    const auto add = [&](const std::uint32_t* row, std::uint32_t lanes, float share) {
      for (std::uint32_t lane = 0; lane < lanes; ++lane) latest[row[lane] - inner_words] += share;
    };
    const std::uint32_t left = shape_.trees - tree;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const std::uint32_t* row = &places[i * stride + tree];
      if (left >= kLanes) {
        add(row, kLanes, shares[i]);
      } else {
        add(row, left, shares[i]);
      }
    }
  }
  for (const float share : shares) latest_rows_ += share;
}

void MassTrees::renew() noexcept {
  const float rows = reference_rows_ + latest_rows_;
  const float kept = std::min(rows, kWindows * static_cast<float>(shape_.window));
  const float factor = rows > 0 ? kept / rows : 0;
  reference_rows_ = kept;
  latest_rows_ = 0;
  for (std::size_t group = 0; group < groups_; ++group) {
    float* reference = &reference_[group * group_size()];
    float* latest = &latest_[group * group_size()];
    for (std::size_t i = 0; i < group_size(); ++i) {
      const float rest = factor * (reference[i] + latest[i]);
      reference[i] = rest < kForgotten ? 0 : rest;  // not ever smaller: such numbers are slow
      latest[i] = 0;
    }
    refresh(group);
  }
}

void MassTrees::refresh() noexcept {
  for (std::size_t group = 0; group < groups_; ++group) refresh(group);
}

void MassTrees::refresh(std::size_t group) noexcept {
  const float few = kFew * std::min(reference_rows_, static_cast<float>(shape_.window));
  // As if the reference were one window of rows.
  const float scale = 2 * static_cast<float>(shape_.window) / std::max(reference_rows_, 1.0F);
  path_lengths(&reference_[group * group_size()], inner_.data(), shape_.depth, few, scale,
               &words_[(2 * group + 1) * group_size()]);
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
         (reference_.capacity() + latest_.capacity() + inner_.capacity()) * sizeof(float);
}

}  // namespace lapwing::detect::halfspace_trees
