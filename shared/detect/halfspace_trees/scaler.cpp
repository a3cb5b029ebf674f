// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/halfspace_trees/scaler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::detect::halfspace_trees {
namespace {

constexpr double kHalfway = 6;         // deviations that lie half way to the end
constexpr double kRounding = 1e-6;     // of the largest value: less is no variation
constexpr double kDistanceMax = 1e30;  // deviations
constexpr double kValueMax = 1e150;

/// Of sorted values; a few outliers do not move it. 0 only for a constant.
double robust_spread(std::span<const double> sorted) {
  const auto at = [&](double q) {
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  const double inner = (at(0.75) - at(0.25)) / 1.349;
  const double outer = (at(0.95) - at(0.05)) / 3.29;
  const double most = std::max(inner, outer);
  return most > 0 ? most : (sorted.back() - sorted.front()) / 8;
}

}  // namespace

void Scaler::learn(std::span<const double> rows, std::span<double> scratch) noexcept {
  const std::size_t width = axes_.size();
  for (std::size_t feature = 0; feature < width; ++feature) {
    std::size_t count = 0;
    for (std::size_t i = feature; i < rows.size(); i += width) {
      if (!std::isnan(rows[i])) scratch[count++] = std::clamp(rows[i], -kValueMax, kValueMax);
    }
    Axis& axis = axes_[feature];
    axis = {};
    if (count == 0) continue;
    const auto sorted = scratch.first(count);
    std::ranges::sort(sorted);
    axis.centre = sorted[count / 2];
    const double largest = std::max(std::abs(sorted.front()), std::abs(sorted.back()));
    axis.spread =
        std::max({robust_spread(sorted), kRounding * largest, std::numeric_limits<double>::min()});
  }
}

void Scaler::scale(std::span<const double> features, float* out) const noexcept {
  for (std::size_t i = 0; i < features.size(); ++i) {
    const double value = std::min(std::max(features[i], -kValueMax), kValueMax);
    const double far = (value - axes_[i].centre) / axes_[i].spread;
    const double z = std::min(std::max(far, -kDistanceMax), kDistanceMax);
    out[i] = std::isnan(features[i]) ? 0.0F : static_cast<float>(z / (std::abs(z) + kHalfway));
  }
}

double Scaler::value_at(std::size_t feature, double u) const noexcept {
  const Axis& axis = axes_[feature];
  return axis.centre + axis.spread * kHalfway * u / (1 - std::abs(u));
}

bool Scaler::sound() const noexcept {
  return std::ranges::all_of(axes_, [](const Axis& axis) {
    return std::isfinite(axis.centre) && std::isfinite(axis.spread) && axis.spread > 0;
  });
}

}  // namespace lapwing::detect::halfspace_trees
