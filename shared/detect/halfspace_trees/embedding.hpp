// SPDX-License-Identifier: Apache-2.0
/// One stream as a few features of its last readings.
#pragma once

#include "shared/detect/detector.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect::halfspace_trees {

/// Each feature answers to one sort of fault: the value to a level that was not seen, its change to
/// jumps, the mean of the last 8 to small shifts that the noise hides, that mean against the one
/// before to drifts, the mean absolute change of the last 16 to more or less noise. All grow with
/// the stream's unit. (A value that is stuck is found by the quality checks.)
class Embedding {
 public:
  static constexpr std::size_t kFeatures = 5;
  static constexpr std::size_t kReadings = 17;
  static constexpr std::size_t kValue = 0;

  /// Takes a finite reading.
  void push(double value) noexcept {
    std::copy_backward(recent_.begin(), recent_.end() - 1, recent_.end());
    recent_[0] = value;
    if (count_ < kReadings) ++count_;
  }
  /// Whether enough readings were seen for all features.
  [[nodiscard]] bool full() const noexcept { return count_ == kReadings; }
  void features(std::span<double> out) const noexcept {
    double last = 0;
    double before = 0;
    double change = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      last += recent_[i] / 8;
      before += recent_[8 + i] / 8;
    }
    for (std::size_t i = 0; i < 16; ++i) change += std::abs(recent_[i] - recent_[i + 1]) / 16;
    out[0] = recent_[0];
    out[1] = recent_[0] - recent_[1];
    out[2] = last;
    out[3] = last - before;
    out[4] = change;
  }
  /// Changes the features of usual readings to those of a `value` that comes after them.
  static void follow(double value, std::span<double> features) noexcept {
    const double step = value - features[0];
    features[0] = value;
    features[1] += step;
    features[2] += step / 8;
    features[3] += step / 8;
    features[4] += std::abs(step) / 16;
  }
  /// What a feature that is far on one side says.
  [[nodiscard]] static Cause cause(std::size_t feature, bool above) noexcept {
    switch (feature) {
      case 0:
        return above ? Cause::high : Cause::low;
      case 1:
        return Cause::jump;
      case 4:
        return above ? Cause::noisier : Cause::calmer;
      default:
        return Cause::drift;
    }
  }

  template <class A>
  void fields(A& archive) {
    archive(recent_, count_);
  }
  [[nodiscard]] bool sound() const noexcept {
    return count_ <= kReadings &&
           std::ranges::all_of(recent_, [](double value) { return std::isfinite(value); });
  }

 private:
  std::array<double, kReadings> recent_{};  ///< newest first
  std::uint32_t count_ = 0;
};

}  // namespace lapwing::detect::halfspace_trees
