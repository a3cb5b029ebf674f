// SPDX-License-Identifier: Apache-2.0
/// The pieces `auto` is made of. Everything is in the stream's own unit of spread ("u"), so that
/// streams of 1e-30 and 1e30 are the same to it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect {

/// How unlike its own past a non-negative statistic is: about -log10 of how often it is exceeded.
/// .824 is the 85 % quantile; above it the tail is taken as a power of the statistic. Beyond 4,
/// once in 10,000 readings, nothing is known of the tail: from there the score grows as the
/// statistic does, so that a fault ten times as large scores ten times as much.
class TailScale {
 public:
  static constexpr float kAtQuantile = 0.824F;
  static constexpr float kDecade = 0.4343F;
  static constexpr float kKnown = 4;

  static constexpr float kLogNothing = -3;  ///< a twentieth of the usual, and less, scores 0

  /// The logarithm that score() and learn() take.
  [[nodiscard]] static float log_of(float z) noexcept {
    return z <= 0.0498F ? kLogNothing : std::log(z);
  }

  [[nodiscard]] float score(float log_z) const noexcept {
    if (count_ == 0 || log_z <= kLogNothing) return 0;
    const float over = log_z - log_quantile_;
    if (over < 0) return kAtQuantile * std::exp(over);
    const float known = known_reach();
    return over < known ? kAtQuantile + kDecade * over / excess_
                        : kKnown * std::exp(std::min(over - known, 7.0F));
  }
  /// `share` below 1 learns that much less from it.
  void learn(float log_z, float share) noexcept {
    if (count_ < 1'000'000) ++count_;
    if (count_ == 1) log_quantile_ = log_z;
    const float pace = share * std::max(0.002F, 1.0F / (8.0F + static_cast<float>(count_))) *
                       std::max(excess_, 0.1F);
    // The usual stochastic quantile: up by q, down by 1 - q, balanced at the quantile.
    log_quantile_ += log_z > log_quantile_ ? 4 * pace * 0.85F : -4 * pace * 0.15F;
    if (log_z > log_quantile_) {
      const float excess = std::min(log_z - log_quantile_, 4 * excess_);
      const float rate =
          share * std::max(0.004F, 1.0F / (12.0F + 0.15F * static_cast<float>(count_)));
      excess_ = std::clamp(excess_ + rate * (excess - excess_), 0.05F, 2.0F);
    }
  }
  /// The statistic that scores `score`; the inverse of score().
  [[nodiscard]] float at(float score) const noexcept {
    if (count_ == 0) return 1e6F;
    float over = (score - kAtQuantile) * excess_ / kDecade;
    if (score < kAtQuantile) over = std::log(std::max(score, 1e-3F) / kAtQuantile);
    if (score > kKnown) over = known_reach() + std::log(score / kKnown);
    return std::exp(std::min(over + log_quantile_, 30.0F));
  }
  void relearn() noexcept { count_ = std::min(count_, 50U); }

  template <class A>
  void fields(A& archive) {
    archive(log_quantile_, excess_, count_);
  }

 private:
  [[nodiscard]] float known_reach() const noexcept {
    return (kKnown - kAtQuantile) * excess_ / kDecade;
  }

  float log_quantile_ = 0;
  float excess_ = 0.3F;
  std::uint32_t count_ = 0;
};

/// The mean of a non-negative statistic, moved by no value more than four times itself.
class Spread {
 public:
  [[nodiscard]] float value() const noexcept { return mean_; }
  void learn(float v, float rate) noexcept {
    mean_ += rate * (std::min(v, 4 * mean_ + kTiny) - mean_);
  }
  template <class A>
  void fields(A& archive) {
    archive(mean_);
  }

 private:
  static constexpr float kTiny = 1e-4F;
  float mean_ = 1;
};

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
    for (std::size_t i = 0; i < kTerms; ++i) {
      weights_[i] += px[i] / norm * error;
      for (std::size_t j = i; j < kTerms; ++j) {
        const double p = (covariance_[i * kTerms + j] - px[i] * px[j] / norm) / kForget;
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
  void fill(double value) noexcept {
    history_.fill(value);
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  /// The origin moves by `by`.
  void move_origin(double by) noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kLags; ++i) sum += weights_[i];
    weights_[kLags] -= by * (1 - sum);
    for (double& h : history_) h -= by;
    low_ -= by;
    high_ -= by;
  }
  /// Learns fast again, as at the start.
  void relearn() noexcept { reset_covariance(); }
  /// Sum of the lag weights: near 1 the stream wanders and has no level of its own.
  [[nodiscard]] double persistence() const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kLags; ++i) sum += weights_[i];
    return sum;
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

/// The usual deviation from the level by the time within a season (a day unless told otherwise).
class Profile {
 public:
  static constexpr std::size_t kBins = 48;

  /// Deviation expected at `place` in [0, 1) of the season; 0 until it has proved its worth.
  [[nodiscard]] float at(float place) const noexcept {
    if (worth_ <= 0) return 0;
    const float centre = place * kBins - 0.5F;
    const float floor = std::floor(centre);
    const float part = centre - floor;
    const auto left =
        static_cast<std::size_t>(static_cast<int>(floor) + static_cast<int>(kBins)) % kBins;
    const std::size_t right = (left + 1) % kBins;
    return worth_ * ((1 - part) * bins_[left] + part * bins_[right]);
  }
  void learn(float place, float deviation) noexcept {
    const auto bin = std::min(kBins - 1, static_cast<std::size_t>(place * kBins));
    if (bin != bin_) {
      leave_bin();
      bin_ = static_cast<std::uint32_t>(bin);
    }
    sum_ += deviation;
    ++count_;
  }
  template <class A>
  void fields(A& archive) {
    archive(bins_, passes_, sum_, count_, bin_, judged_, error_plain_, error_profile_, worth_);
  }
  [[nodiscard]] bool plausible() const noexcept { return bin_ < kBins && std::isfinite(worth_); }

 private:
  void leave_bin() noexcept {
    if (count_ == 0) return;
    const float mean = sum_ / static_cast<float>(count_);
    float& bin = bins_[bin_];
    std::uint8_t& passes = passes_[bin_];
    if (passes > 0) {  // judged before it learns: was the profile better than the bare level?
      error_plain_ += (mean * mean - error_plain_) / 24;
      error_profile_ += ((mean - bin) * (mean - bin) - error_profile_) / 24;
      const float gain = error_plain_ > 0 ? 1 - error_profile_ / error_plain_ : 0;
      if (judged_ < 1000) ++judged_;
      worth_ = judged_ < kBins / 2 ? 0 : std::clamp((gain - 0.3F) / 0.4F, 0.0F, 1.0F);
    }
    if (passes < 255) ++passes;
    bin += std::max(1.0F / static_cast<float>(passes), 0.15F) * (mean - bin);
    sum_ = 0;
    count_ = 0;
  }

  std::array<float, kBins> bins_{};
  std::array<std::uint8_t, kBins> passes_{};
  float sum_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t bin_ = 0;
  std::uint32_t judged_ = 0;
  float error_plain_ = 0;
  float error_profile_ = 0;
  float worth_ = 0;
};

}  // namespace lapwing::detect
