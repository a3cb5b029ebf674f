// SPDX-License-Identifier: Apache-2.0
/// When a fault that lasts is over, as opposed to what it leaves behind.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace lapwing::detect {

/// Follows the scores of one stream of rows from a fault's first row to its last.
///
/// A fault begins above 1 and ends at 1, or at a tenth of its own height: a machine that finds back
/// to normal is off its usual course for a while, and that is no new fault. What is left must
/// exceed that tenth, which falls back to 1 about as fast as the fault was long, to begin another;
/// so one that is higher is never held back.
class Episode {
 public:
  /// Takes the next score (above 1: anomalous); true while the fault lasts.
  bool push(float score) noexcept {
    if (inside_) {
      ++rows_;
      const float cut = std::min(score, kCut * level_);
      level_ += (cut - level_) / static_cast<float>(std::min(rows_, kLevelRows));
      height_ = std::max(height_ * kHeightDecay, level_);
      if (score > 1 && score >= kRest * height_) return true;
      inside_ = false;
      bar_ = std::max(1.0F, kRest * height_);
      return false;
    }
    bar_ = 1 + (bar_ - 1) * (1 - 1 / static_cast<float>(std::max(kBarRows, rows_)));
    if (score <= bar_) return false;
    inside_ = true;
    rows_ = 0;
    level_ = height_ = score;
    return true;
  }
  [[nodiscard]] bool inside() const noexcept { return inside_; }

  template <class A>
  void fields(A& archive) {
    archive(level_, height_, bar_, rows_, inside_);
  }
  [[nodiscard]] bool plausible() const noexcept {
    return std::isfinite(level_) && std::isfinite(height_) && std::isfinite(bar_) && bar_ >= 1;
  }

 private:
  static constexpr float kRest = 0.1F;  ///< .05 to .3 do as well
  static constexpr float kCut = 4;
  static constexpr float kHeightDecay = 1 - 1.0F / 200;
  static constexpr std::uint32_t kLevelRows = 30;
  static constexpr std::uint32_t kBarRows = 50;

  float level_ = 0;   ///< of the last 30 rows
  float height_ = 0;  ///< highest level, slowly forgotten
  float bar_ = 1;     ///< what begins the next fault
  std::uint32_t rows_ = 0;
  bool inside_ = false;
};

}  // namespace lapwing::detect
