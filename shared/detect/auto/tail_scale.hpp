// SPDX-License-Identifier: Apache-2.0
/// From a statistic in any unit to about -log10 of how often it is exceeded.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace lapwing::detect {

/// How unlike its own past a non-negative statistic is. Its 85 % quantile scores .824 = -log10 .15;
/// above it the tail is taken as a power of the statistic (exponential in its logarithm), below it
/// the score falls in proportion. Learns at 4/n: a tail that adapts faster learns the faults.
class TailScale {
 public:
  /// The logarithm that score() and learn() take.
  [[nodiscard]] static float log_of(float z) noexcept { return std::log(z + 1e-9F); }

  [[nodiscard]] float score(float log_z) const noexcept {
    if (count_ == 0) return 0;
    const float over = log_z - log_quantile_;
    const float score =
        over <= 0 ? kAtQuantile * std::exp(over) : kAtQuantile + kDecade * over / excess_;
    return std::min(score, kScoreMax);
  }
  void learn(float log_z) noexcept {
    if (count_ < kCountMax) ++count_;
    if (count_ == 1) {
      log_quantile_ = log_z;
      return;
    }
    const auto n = static_cast<float>(count_);
    const float pace = 4 / n;
    // The usual stochastic quantile: up by q, down by 1 - q, balanced at the quantile.
    if (log_z <= log_quantile_) {
      log_quantile_ -= pace * (1 - kQuantile);
      return;
    }
    const float excess = std::min(log_z - log_quantile_, kExcessMax);
    excess_ = std::max(kExcessMin, excess_ + (excess - excess_) / (10 + (1 - kQuantile) * n));
    log_quantile_ += pace * kQuantile;
  }

  template <class A>
  void fields(A& archive) {
    archive(log_quantile_, excess_, count_);
  }

 private:
  static constexpr float kQuantile = 0.85F;
  static constexpr float kAtQuantile = 0.824F;
  static constexpr float kDecade = 0.4343F;
  static constexpr float kExcessMin = 0.03F;
  static constexpr float kExcessMax = 2;
  static constexpr float kScoreMax = 1000;
  static constexpr std::uint32_t kCountMax = 10'000'000;

  float log_quantile_ = 0;
  float excess_ = 1;
  std::uint32_t count_ = 0;
};

}  // namespace lapwing::detect
