// SPDX-License-Identifier: Apache-2.0
/// The next value from the last few.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace lapwing::detect {

/// The next value from the last four, learnt by recursive least squares.
class Predictor {
 public:
  static constexpr std::size_t kLags = 4;
  static constexpr std::size_t kTerms = kLags + 1;

  Predictor() { reset_covariance(); }

  [[nodiscard]] double predict() const noexcept {
    double sum = weights_[kLags];
    for (std::size_t i = 0; i < kLags; ++i) sum += weights_[i] * history_[i];
    // Between bounds of what was seen lately: an unstable fit must not run away.
    return std::clamp(sum, low_ - 0.5 * (high_ - low_) - 0.5, high_ + 0.5 * (high_ - low_) + 0.5);
  }
  /// `error` = the (clipped) value minus predict().
  void learn(double error) noexcept {
    std::array<double, kTerms> x{};
    std::copy(history_.begin(), history_.end(), x.begin());
    x[kLags] = 1;
    std::array<double, kTerms> px{};
    double norm = kForget;
    for (std::size_t i = 0; i < kTerms; ++i) {
      for (std::size_t j = 0; j < kTerms; ++j) px[i] += covariance_[i * kTerms + j] * x[j];
      norm += px[i] * x[i];
    }
    double trace = 0;
    const double per_norm = 1 / norm;
    for (std::size_t i = 0; i < kTerms; ++i) {
      const double gain = px[i] * per_norm;
      weights_[i] += gain * error;
      for (std::size_t j = i; j < kTerms; ++j) {
        const double p = (covariance_[i * kTerms + j] - gain * px[j]) * (1 / kForget);
        // One triangle is computed and mirrored: two that drift apart make the filter diverge.
        covariance_[i * kTerms + j] = p;
        covariance_[j * kTerms + i] = p;
      }
      trace += covariance_[i * kTerms + i];
    }
    if (!(trace < 1e4)) reset_covariance();
    for (double& w : weights_) w = std::isfinite(w) ? std::clamp(w, -20.0, 20.0) : 0.0;
  }
  /// The value (cleaned of outliers) becomes history.
  void shift(double value) noexcept {
    for (std::size_t i = kLags - 1; i > 0; --i) history_[i] = history_[i - 1];
    history_[0] = value;
    low_ += (value < low_ ? 1.0 : 1e-3) * (value - low_);
    high_ += (value > high_ ? 1.0 : 1e-3) * (value - high_);
  }
  template <class A>
  void fields(A& archive) {
    archive(weights_, history_, covariance_, low_, high_);
  }

 private:
  static constexpr double kForget = 0.9995;

  void reset_covariance() noexcept {
    covariance_.fill(0);
    for (std::size_t i = 0; i < kTerms; ++i) covariance_[i * kTerms + i] = 10;
  }

  std::array<double, kTerms> weights_{};
  std::array<double, kLags> history_{};
  std::array<double, kTerms * kTerms> covariance_{};
  double low_ = 0;
  double high_ = 0;
};

}  // namespace lapwing::detect
