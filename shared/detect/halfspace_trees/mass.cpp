// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/mass.hpp"

#include "shared/detect/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lapwing::detect::halfspace_trees {

using trees::kLanes;
using trees::kUnit;

namespace {

constexpr float kWindows = 8;  // remembered
constexpr float kFew = 0.1F;   // of all rows: fewer in a node say nothing of its halves

/// To base 2, of x >= 1, to 2e-5. Plain arithmetic, so that the compiler makes vectors of it.
float log2_of(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 127);
  const float m = std::bit_cast<float>((bits & 0x007FFFFFU) | 0x3F800000U);
  const float s = (m - 1) / (m + 1);
  const float q = s * s;
  constexpr float kScale = 2.885390082F;  // 2 / ln 2
  return exponent + kScale * s * (1 + q * (1.0F / 3 + q * (1.0F / 5 + q * (1.0F / 7))));
}

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
      mass_(2 * leaves() * kLanes),
      depths_(mass_.size()) {
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
    reference_[i] = factor * (reference_[i] + latest_[i]);
    latest_[i] = 0;
  }
  reference_rows_ = kept;
  latest_rows_ = 0;
  refresh();
}

void MassTrees::refresh() noexcept {
  const std::size_t first = leaves();
  const float few = kFew * reference_rows_;
  // As if the reference were one window of rows.
  const float scale = 2 * static_cast<float>(shape_.window) / std::max(reference_rows_, 1.0F);
  for (std::size_t group = 0; group < groups_; ++group) {
    std::copy_n(&reference_[group * first * kLanes], first * kLanes, &mass_[first * kLanes]);
    for (std::size_t node = first - 1; node > 0; --node) {
      const float* children = &mass_[2 * node * kLanes];
      float* mass = &mass_[node * kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) mass[i] = children[i] + children[kLanes + i];
    }
    // Below a node with few rows all is as in that node.
    std::fill_n(&depths_[kLanes], kLanes, 0.0F);
    for (std::size_t node = 2; node < 2 * first; ++node) {
      const auto level = static_cast<float>(std::bit_width(node) - 1);
      const float* parent_mass = &mass_[node / 2 * kLanes];
      const float* parent_depth = &depths_[node / 2 * kLanes];
      float* mass = &mass_[node * kLanes];
      float* depth = &depths_[node * kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) {
        const bool ended = parent_mass[i] <= few;
        mass[i] = ended ? parent_mass[i] : mass[i];
        depth[i] = ended ? parent_depth[i] : level;
      }
    }
    std::uint32_t* words = &words_[group * 2 * first * kLanes];
    for (std::size_t i = first * kLanes; i < 2 * first * kLanes; ++i) {
      const float length = depths_[i] + log2_of(1 + scale * mass_[i]);
      words[i] = static_cast<std::uint32_t>(static_cast<std::int32_t>(length * kUnit + 0.5F));
    }
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
         (reference_.capacity() + latest_.capacity() + mass_.capacity() + depths_.capacity()) *
             sizeof(float);
}

}  // namespace lapwing::detect::halfspace_trees
