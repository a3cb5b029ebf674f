// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of the matrix profile, the same on host and device. C++17, no library calls but
/// sqrt.
///
/// The covariance of two windows follows from that of the two one step earlier (Zimmerman et al.,
/// Matrix Profile XIV: SCAMP, 2019):
///   cov(i, j) = cov(i-1, j-1) + change(i) * sum(j) + change(j) * sum(i)
/// which stays centred, so that a level far from zero costs no digits.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
#include <cstddef>

namespace lapwing::detect::profile {

/// What one window adds to the recurrence.
template <class T>
struct Step {
  T change;  ///< half of what came minus what went
  T sum;     ///< both, each from its window's mean
};

/// `came` is the window's last value, `went` the value before its first; `mean_before` is the mean
/// of the window one step earlier.
template <class T>
LAPWING_HOST_DEVICE inline Step<T> step_of(T came, T went, T mean, T mean_before) {
  return {(came - went) / 2, (came - mean) + (went - mean_before)};
}

template <class T>
LAPWING_HOST_DEVICE inline T covariance_after(T covariance, Step<T> a, Step<T> b) {
  return covariance + a.change * b.sum + b.change * a.sum;
}

/// Mean of a window, and the sum of squares from it.
template <class T>
struct Moments {
  T mean;
  T squares;
};

template <class T, class V>
LAPWING_HOST_DEVICE inline Moments<T> moments_of(const V* values, std::size_t window) {
  T mean = 0;
  for (std::size_t i = 0; i < window; ++i) mean += static_cast<T>(values[i]);
  mean /= static_cast<T>(window);
  T squares = 0;
  for (std::size_t i = 0; i < window; ++i) {
    const T off = static_cast<T>(values[i]) - mean;
    squares += off * off;
  }
  return {mean, squares};
}

template <class T, class V>
LAPWING_HOST_DEVICE inline T covariance_of(const V* a, T mean_a, const V* b, T mean_b,
                                           std::size_t window) {
  T sum = 0;
  for (std::size_t i = 0; i < window; ++i) {
    sum += (static_cast<T>(a[i]) - mean_a) * (static_cast<T>(b[i]) - mean_b);
  }
  return sum;
}

/// z-normalised Euclidean distance of windows of this length that correlate so.
template <class T>
LAPWING_HOST_DEVICE inline T distance_of(T correlation, std::size_t window) {
  const T apart = 1 - correlation;
  return apart > 0 ? std::sqrt(2 * static_cast<T>(window) * apart) : T{0};
}

}  // namespace lapwing::detect::profile
