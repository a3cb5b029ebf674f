// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/codebook.hpp"

#include "shared/detect/auto/nearest.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect {
namespace {

constexpr float kCodeMax = 127;
constexpr float kDistanceMin = 1e-3F;  // in u: finer differences are no information
constexpr float kCreateNear = 0.6F;    // usual distances from which a window becomes a centroid,
constexpr float kCreateFar = 2;        // and when half of them are taken
constexpr float kUsual = 3;            // usual distances up to which a window is learnt from
constexpr float kClip = 4;
constexpr float kSlowest = 1e-3F;
constexpr std::uint32_t kSeenMax = 100'000'000;
constexpr std::uint8_t kHitsMax = 255;

constexpr std::size_t kShort = 16;  // blocks: such a window is looked at each time
constexpr std::size_t kLanes = 8;   // at once; every size is a multiple
float largest_size(std::span<const float> values) {
  std::array<float, kLanes> lanes{};
  for (std::size_t i = 0; i < values.size(); i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      const float size = std::abs(values[i + k]);
      lanes[k] = lanes[k] < size ? size : lanes[k];
    }
  }
  return std::max(1e-9F, *std::ranges::max_element(lanes));
}

void store(std::span<std::int8_t> codes, std::size_t count, std::size_t centroid, float& scale,
           std::span<const float> values) {
  scale = largest_size(values) / kCodeMax;
  for (std::size_t i = 0; i < values.size(); ++i) {
    codes[codebooks::place_of(i, centroid, count)] =
        static_cast<std::int8_t>(std::nearbyint(values[i] / scale));
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

bool CodebookBase::advance(std::span<float> blocks, float value) noexcept {
  fresh_ = false;
  sum_ += value;
  if (++in_block_ < step_) return false;
  std::copy_backward(blocks.begin(), blocks.end() - 1, blocks.end());
  blocks[0] = sum_ / static_cast<float>(step_);
  sum_ = 0;
  in_block_ = 0;
  blocks_seen_ = std::min(blocks_seen_ + 1, static_cast<std::uint32_t>(blocks.size()));
  odd_ = !odd_;
  if (blocks_seen_ < blocks.size()) return false;
  fresh_ = !odd_ || step_ > 1 || blocks.size() <= kShort;
  return fresh_;
}

void CodebookBase::look(const Parts& parts, Growth growth, bool trusting) noexcept {
  CodedWindow window;  // NOLINT: filled by describe()
  describe(parts, window);
  Nearest found;
  if (used_ > 0) {
    found =
        nearest_centroid(parts.codes.data(), parts.scales, used_,
                         std::span(window.query).first(parts.blocks.size()), window.query_scale);
  }
  judge(parts, window, found, growth, trusting);
}

void CodebookBase::judge(const Parts& parts, const CodedWindow& window, Nearest found,
                         Growth growth, bool trusting) noexcept {
  const std::size_t d = parts.blocks.size();
  const std::size_t count = parts.scales.size();
  const auto n = static_cast<float>(d);
  const std::size_t nearest = used_ > 0 ? found.centroid : count;
  const float distance =
      nearest == count ? 0 : std::sqrt(std::max(0.0F, found.square + window.square) / n);
  score_ = nearest == count ? 0 : distance / (usual_ + kDistanceMin);
  const bool usual = trusting || growth == Growth::renew || score_ < kUsual;
  if (growth == Growth::none || !usual) return;  // nor does a long fault become the usual distance
  if (nearest != count) {
    if (seen_ < kSeenMax) ++seen_;
    const float pace = std::max(1 / static_cast<float>(seen_), kSlowest);
    const float cut = trusting ? distance : std::min(distance, kClip * usual_ + kDistanceMin);
    usual_ += pace * (cut - usual_);
    size_ += pace * (std::sqrt(window.square / n) - size_);
  }
  learn(parts, std::span(window.values).first(d), nearest, distance, growth);
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
    const float old = static_cast<float>(parts.codes[codebooks::place_of(i, nearest, count)]) *
                      parts.scales[nearest];
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
