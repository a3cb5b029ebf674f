// SPDX-License-Identifier: Apache-2.0
/// What a stream usually does at one place of a season, bin by bin; a bin counts once it has
/// repeated itself.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect {

/// What the season says about one place.
struct SeasonView {
  float usual = 0;  ///< deviation from the level to expect, in u
  float mean = 0;   ///< mean deviation so far, believed or not
  float ratio = 1;  ///< how much more than elsewhere the stream fluctuates here, >= 1
  std::uint32_t passes = 0;
};

/// Each bin keeps a mean over passes of the season and how far a pass strays from it. Both are
/// moved by Huber-clipped steps (Gelper, Fried & Croux 2010), so one strange day neither becomes
/// the expectation nor blinds the bin; what comes back day after day does both in turn: at first
/// the bin is unsure, then it expects.
///
/// The mean is shrunk by its own uncertainty (James & Stein 1961): a bin that has not differed from
/// the level by more than two of its standard errors says nothing, and so does one that was passed
/// only once. Places are in [0, 1).
template <std::size_t Bins>
class SeasonProfile {
 public:
  [[nodiscard]] SeasonView at(float place) const noexcept {
    const std::size_t bin = bin_of(place);
    SeasonView view{.usual = usual(bin), .mean = means_[bin], .passes = passes_[bin]};
    if (view.passes < kPassesMin) return view;
    const float over = spreads_[bin] / std::max(kUnremarkable * usual_spread_, kTiny);
    view.ratio = std::clamp(over, 1.0F, kRatioMax);
    return view;
  }

  /// The stream's deviation from the level (and from other seasons) at this place. `scale`: of one
  /// reading, what a bin takes for its spread until it has its own. True when the bin was left.
  bool learn(float place, float deviation, float scale) noexcept {
    const std::size_t bin = bin_of(place);
    const bool leaves = bin != bin_ && count_ > 0;
    if (leaves) leave(scale);
    bin_ = static_cast<std::uint32_t>(bin);
    sum_ += deviation;
    ++count_;
    return leaves;
  }

  /// The error of the last pass through a bin, had the season been `bins` later; squared, in
  /// spreads, at most 16.
  [[nodiscard]] float error_if_shifted(std::ptrdiff_t bins) const noexcept {
    const auto size = static_cast<std::ptrdiff_t>(Bins);
    const auto other =
        static_cast<std::size_t>((static_cast<std::ptrdiff_t>(left_) + bins % size + size) % size);
    const float error = (left_mean_ - usual(other)) / std::max(usual_spread_, kTiny);
    return std::min(error * error, 16.0F);
  }

  template <class A>
  void fields(A& archive) {
    archive(means_, spreads_, passes_, sum_, count_, bin_, left_, left_mean_, usual_spread_);
  }
  [[nodiscard]] bool plausible() const noexcept {
    const auto finite = [](float v) { return std::isfinite(v); };
    return bin_ < Bins && left_ < Bins && std::isfinite(sum_) && std::isfinite(left_mean_) &&
           std::isfinite(usual_spread_) && std::ranges::all_of(means_, finite) &&
           std::ranges::all_of(spreads_, finite);
  }

 private:
  static constexpr std::uint8_t kPassesMin = 2;
  static constexpr float kPace = 0.2F;          // of a pass, once there were five
  static constexpr float kPassesWorth = 9;      // passes that such a mean is worth
  static constexpr float kShrink = 4;           // two standard errors, squared
  static constexpr float kMeanClip = 2.5F;      // spreads a pass may pull the mean by
  static constexpr float kSpreadClip = 4;       // likewise the spread: it doubles at most
  static constexpr float kUnremarkable = 1.5F;  // a bin's spread that chance explains
  static constexpr float kRatioMax = 100;
  static constexpr float kTiny = 1e-6F;

  [[nodiscard]] static std::size_t bin_of(float place) noexcept {
    return std::min(Bins - 1, static_cast<std::size_t>(place * static_cast<float>(Bins)));
  }

  [[nodiscard]] float usual(std::size_t bin) const noexcept {
    if (passes_[bin] < kPassesMin) return 0;
    const float mean = means_[bin];
    const float worth = std::min(static_cast<float>(passes_[bin]), kPassesWorth);
    const float doubt = kShrink * spreads_[bin] * spreads_[bin] / worth;
    const float square = mean * mean;
    return square > doubt ? mean * (1 - doubt / square) : 0;
  }

  void leave(float scale) noexcept {
    const float x = sum_ / static_cast<float>(count_);
    float& mean = means_[bin_];
    float& spread = spreads_[bin_];
    std::uint8_t& passes = passes_[bin_];
    if (passes == 0) {
      mean = x;
      spread = scale;
    } else {
      const float pace = std::max(1.0F / static_cast<float>(passes + 1), kPace);
      const float error = x - mean;
      const float wide = std::max(spread, scale * 0.1F);
      const bool settled = pace <= kPace;
      const float limit = kMeanClip * wide;
      mean += pace * (settled ? std::clamp(error, -limit, limit) : error);
      const float stray = settled ? std::min(std::abs(error), kSpreadClip * wide) : error;
      spread = std::sqrt(spread * spread + pace * (stray * stray - spread * spread));
      // Learnt as the bins are, clipped: a few remarkable bins do not make the rest look calm.
      const float counted = std::min(spread, 3 * usual_spread_ + kTiny);
      usual_spread_ += (counted - usual_spread_) / (usual_spread_ > 0 ? 64.0F : 1.0F);
    }
    if (usual_spread_ == 0) usual_spread_ = scale;
    if (passes < 255) ++passes;
    left_ = bin_;
    left_mean_ = x;
    sum_ = 0;
    count_ = 0;
  }

  std::array<float, Bins> means_{};
  std::array<float, Bins> spreads_{};
  std::array<std::uint8_t, Bins> passes_{};
  float sum_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t bin_ = 0;
  std::uint32_t left_ = 0;
  float left_mean_ = 0;
  float usual_spread_ = 0;
};

}  // namespace lapwing::detect
