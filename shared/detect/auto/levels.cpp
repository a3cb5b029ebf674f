// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto/levels.hpp"

#include <algorithm>
#include <limits>

namespace lapwing::detect {
namespace {

constexpr float kFinest = 1e-3F;  // in u: finer differences are no information
constexpr float kGap = 0.02F;     // of the range visited: between levels it is news
constexpr float kGapMax = 10;

}  // namespace

float Levels::push(float value, bool measure) noexcept {
  if (count_ == 0) low_ = high_ = value;
  const float range = high_ - low_;
  float* const end = levels_.data() + count_;
  float* const above = std::lower_bound(levels_.data(), end, value);
  float distance = std::numeric_limits<float>::max();
  if (above != end) distance = *above - value;
  if (above != levels_.data()) distance = std::min(distance, value - *(above - 1));
  const float gap = count_ == 0 ? 0 : distance / (range + kFinest);
  if (count_ == 0 || distance > 0.5F * kGap * range) remember(value, range);
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
  return measure && gap > kGap ? std::min(gap, kGapMax) : 0;
}

void Levels::remember(float value, float range) noexcept {
  if (count_ == kLevels) {  // the range has grown: levels that are close by now become one
    std::uint32_t kept = 1;
    for (std::uint32_t i = 1; i < count_; ++i) {
      if (levels_[i] - levels_[kept - 1] > 0.5F * kGap * range) levels_[kept++] = levels_[i];
    }
    count_ = kept;
  }
  if (count_ == kLevels) return;
  float* const end = levels_.data() + count_;
  float* const above = std::lower_bound(levels_.data(), end, value);
  std::copy_backward(above, end, end + 1);
  *above = value;
  ++count_;
}

}  // namespace lapwing::detect
