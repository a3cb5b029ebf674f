// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/codebook.hpp"

#include "shared/detect/auto/nearest.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {
namespace {

constexpr std::size_t kCountMax = 96;
constexpr std::size_t kDimensionsMax = 48;
constexpr float kQueryMax = 1023;  // whole numbers: see code_products()
constexpr float kCodeMax = 127;
constexpr float kDistanceMin = 1e-3F;  // in u: finer differences are no information
constexpr float kCreateNear = 0.6F;    // usual distances from which a window becomes a centroid,
constexpr float kCreateFar = 2;        // and when half of them are taken
constexpr float kUsual = 3;            // usual distances up to which a window is learnt from
constexpr float kClip = 4;
constexpr float kSlowest = 1e-3F;
constexpr std::uint32_t kSeenMax = 100'000'000;
constexpr std::uint8_t kHitsMax = 255;

float largest_size(std::span<const float> values) {
  float largest = 1e-9F;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

void store(std::span<std::int8_t> codes, std::size_t count, std::size_t centroid, float& scale,
           std::span<const float> values) {
  scale = largest_size(values) / kCodeMax;
  for (std::size_t i = 0; i < values.size(); ++i) {
    codes[i * count + centroid] = static_cast<std::int8_t>(std::nearbyint(values[i] / scale));
  }
}

}  // namespace

void fill_block_weights(std::span<float> weights) noexcept {
  const auto d = static_cast<float>(weights.size());
  float sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::exp(-static_cast<float>(i) / (0.5F * d));
    sum += weights[i];
  }
  for (float& w : weights) w = std::sqrt(w * d / sum);
}

void CodebookBase::start(double length, std::size_t dimensions) noexcept {
  step_ = static_cast<std::uint32_t>(
      std::max(1.0, std::nearbyint(length / static_cast<double>(dimensions))));
}

void CodebookBase::push(const Parts& parts, float value, Growth growth, bool trusting) noexcept {
  fresh_ = false;
  sum_ += value;
  if (++in_block_ < step_) return;
  std::copy_backward(parts.blocks.begin(), parts.blocks.end() - 1, parts.blocks.end());
  parts.blocks[0] = sum_ / static_cast<float>(step_);
  sum_ = 0;
  in_block_ = 0;
  blocks_seen_ = std::min(blocks_seen_ + 1, static_cast<std::uint32_t>(parts.blocks.size()));
  if (blocks_seen_ < parts.blocks.size()) return;
  fresh_ = true;
  look(parts, growth, trusting);
}

void CodebookBase::look(const Parts& parts, Growth growth, bool trusting) noexcept {
  const std::size_t d = parts.blocks.size();
  const std::size_t count = parts.scales.size();
  std::array<float, kDimensionsMax> buffer;  // NOLINT: filled below
  const std::span window = std::span(buffer).first(d);
  if (parts.view == View::shape) {
    float mean = 0;
    for (const float b : parts.blocks) mean += b;
    mean /= static_cast<float>(d);
    float square = 0;
    for (const float b : parts.blocks) square += (b - mean) * (b - mean);
    const float unit = std::sqrt(square / static_cast<float>(d)) + 1;
    for (std::size_t i = 0; i < d; ++i) {
      window[i] = (parts.blocks[i] - mean) / unit * parts.weights[i];
    }
  } else {
    for (std::size_t i = 0; i < d; ++i) window[i] = parts.blocks[i] * parts.weights[i];
  }

  std::array<float, kDimensionsMax> query;  // NOLINT
  const float query_scale = largest_size(window) / kQueryMax;
  float square = 0;
  for (std::size_t i = 0; i < d; ++i) {
    query[i] = std::nearbyint(window[i] / query_scale);
    square += query[i] * query[i];
  }
  square *= query_scale * query_scale;
  std::size_t nearest = count;
  float smallest = 0;
  if (used_ > 0) {
    std::array<float, kCountMax> with_query;   // NOLINT
    std::array<float, kCountMax> with_itself;  // NOLINT
    code_products(parts.codes.data(), count, std::span(query).first(d), with_query.data(),
                  with_itself.data());
    for (std::size_t c = 0; c < used_; ++c) {
      const float scale = parts.scales[c];
      const float distance = scale * (scale * with_itself[c] - 2 * query_scale * with_query[c]);
      if (nearest == count || distance < smallest) {
        nearest = c;
        smallest = distance;
      }
    }
  }
  const float distance =
      nearest == count ? 0 : std::sqrt(std::max(0.0F, smallest + square) / static_cast<float>(d));
  score_ = nearest == count ? 0 : distance / (usual_ + kDistanceMin);
  if (growth == Growth::none) return;
  if (nearest != count) {
    if (seen_ < kSeenMax) ++seen_;
    const float pace = std::max(1 / static_cast<float>(seen_), kSlowest);
    const float cut = trusting ? distance : std::min(distance, kClip * usual_ + kDistanceMin);
    usual_ += pace * (cut - usual_);
    size_ += pace * (std::sqrt(square / static_cast<float>(d)) - size_);
  }
  if (trusting || growth == Growth::renew || score_ < kUsual)
    learn(parts, window, nearest, distance, growth);
}

void CodebookBase::learn(const Parts& parts, std::span<const float> window, std::size_t nearest,
                         float distance, Growth growth) noexcept {
  const std::size_t count = parts.scales.size();
  const float far = (used_ < count / 2 ? kCreateNear : kCreateFar) * usual_;
  const bool room = used_ < count || growth == Growth::renew;
  if (nearest == count || (growth != Growth::settle && room && distance > far)) {
    std::size_t free = used_;
    if (used_ < count) {
      ++used_;
    } else {  // the one that has stood for the fewest windows
      free = static_cast<std::size_t>(std::ranges::min_element(parts.hits) - parts.hits.begin());
    }
    store(parts.codes, count, free, parts.scales[free], window);
    parts.hits[free] = 1;
    return;
  }
  std::uint8_t& hits = parts.hits[nearest];
  if (hits == kHitsMax) return;
  const float pace = 1 / static_cast<float>(hits + 1);
  std::array<float, kDimensionsMax> moved;  // NOLINT
  for (std::size_t i = 0; i < window.size(); ++i) {
    const float old = static_cast<float>(parts.codes[i * count + nearest]) * parts.scales[nearest];
    moved[i] = old + pace * (window[i] - old);
  }
  store(parts.codes, count, nearest, parts.scales[nearest], std::span(moved).first(window.size()));
  ++hits;
}

bool CodebookBase::plausible(std::size_t count) const noexcept {
  return step_ >= 1 && step_ <= (1U << 20) && in_block_ < step_ && used_ <= count &&
         std::isfinite(sum_) && usual_ >= 0 && std::isfinite(usual_) && size_ >= 0 && score_ >= 0;
}

}  // namespace lapwing::detect
