// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/auto_rows/surprise.hpp"

#include <algorithm>
#include <cmath>

namespace lapwing::detect::rows {
namespace {

constexpr double kSurpriseMax = 1e6;
constexpr double kTailShare = 0.1;  // of the values, the largest: the tail is measured on them
constexpr double kTailMin = 1e-6;   // of the largest value
constexpr double kTailSmallest = 1e-12;

/// The value that a share of 1 - e^-surprise lies below.
double quantile(const std::vector<double>& sorted, double surprise) {
  const auto n = static_cast<double>(sorted.size());
  const double at = std::clamp(n * (1 - std::exp(-surprise)) - 0.5, 0.0, n - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Surprise::Surprise(std::vector<double> values) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  step_ = std::log(2 * n) / static_cast<double>(kKnots - 1);
  for (std::size_t i = 0; i < kKnots; ++i) {
    knots_[i] = quantile(values, step_ * static_cast<double>(i));
  }
  const auto tail = std::max<std::size_t>(1, static_cast<std::size_t>(kTailShare * n));
  const double from = values[values.size() - tail];
  double excess = 0;
  for (std::size_t i = values.size() - tail; i < values.size(); ++i) {
    excess += (values[i] - from) / static_cast<double>(tail);
  }
  tail_ = std::max({excess, kTailMin * std::abs(values.back()), kTailSmallest});
}

double Surprise::of(double value) const noexcept {
  const auto above =
      static_cast<std::size_t>(std::ranges::upper_bound(knots_, value) - knots_.begin());
  if (above == 0) return 0;
  const double low = knots_[above - 1];
  const double surprise = step_ * static_cast<double>(above - 1);
  if (above == kKnots) return std::min(surprise + (value - low) / tail_, kSurpriseMax);
  return surprise + step_ * (value - low) / (knots_[above] - low);
}

bool Surprise::sound() const noexcept {
  return step_ > 0 && step_ < 1 && tail_ >= kTailSmallest && std::isfinite(tail_) &&
         std::ranges::all_of(knots_, [](double v) { return std::isfinite(v); }) &&
         std::ranges::is_sorted(knots_);
}

}  // namespace lapwing::detect::rows
