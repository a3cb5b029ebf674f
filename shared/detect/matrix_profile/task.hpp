// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of the matrix profile, the same on host and device. C++17, no library calls but
/// sqrt and memcpy.
///
/// The covariance of two windows follows from that of the two one step earlier (Zimmerman et al.,
/// Matrix Profile XIV: SCAMP, 2019):
///   cov(i, j) = cov(i-1, j-1) + change(i) * sum(j) + change(j) * sum(i)
/// which stays centred, so that a level far from zero costs no digits.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

/// Four sums side by side: one alone would wait for each addition to end before the next.
template <class T, class Term>
LAPWING_HOST_DEVICE inline T sum_over(std::size_t count, const Term& term) {
  T sums[4] = {0, 0, 0, 0};
  const std::size_t fours = count - count % 4;
  for (std::size_t i = 0; i < fours; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) sums[k] += term(i + k);
  }
  for (std::size_t i = fours; i < count; ++i) sums[0] += term(i);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Mean of a window, and the sum of squares from it.
template <class T>
struct Moments {
  T mean;
  T squares;
};

template <class T, class V>
LAPWING_HOST_DEVICE inline Moments<T> moments_of(const V* values, std::size_t window) {
  const T mean = sum_over<T>(window, [=](std::size_t i) { return static_cast<T>(values[i]); }) /
                 static_cast<T>(window);
  const T squares = sum_over<T>(window, [=](std::size_t i) {
    const T off = static_cast<T>(values[i]) - mean;
    return off * off;
  });
  return {mean, squares};
}

template <class T, class V>
LAPWING_HOST_DEVICE inline T covariance_of(const V* a, T mean_a, const V* b, T mean_b,
                                           std::size_t window) {
  return sum_over<T>(window, [=](std::size_t i) {
    return (static_cast<T>(a[i]) - mean_a) * (static_cast<T>(b[i]) - mean_b);
  });
}

/// z-normalised Euclidean distance of windows of this length that correlate so.
template <class T>
LAPWING_HOST_DEVICE inline T distance_of(T correlation, std::size_t window) {
  const T apart = 1 - correlation;
  return apart > 0 ? std::sqrt(2 * static_cast<T>(window) * apart) : T{0};
}

/// A series as a worker sees it; each table has one entry a window, `values` one a value.
struct Tables {
  const double* values;
  const double* means;
  const double* change;
  const double* sum;
  const double* inverse;  ///< 1 / norm; NaN: neither has nor is a neighbour
  std::size_t count;      ///< windows
  std::size_t window;     ///< values
  std::size_t nearest;    ///< smallest lag that counts
};

/// What one worker does: the pairs (row, row + lag) for rows from `from` on, before `until`.
/// `found(row, correlation, row + lag)` gets each; the correlation lacks the row's own inverse.
template <class Found>
LAPWING_HOST_DEVICE inline void walk_diagonal(const Tables& t, std::size_t lag, std::size_t from,
                                              std::size_t until, const Found& found) {
  if (lag >= t.count || from >= t.count - lag) return;
  const std::size_t end = until < t.count - lag ? until : t.count - lag;
  double covariance = covariance_of(t.values + from, t.means[from], t.values + from + lag,
                                    t.means[from + lag], t.window);
  for (std::size_t row = from;;) {
    const std::size_t later = row + lag;
    found(row, covariance * t.inverse[later], later);
    if (++row == end) return;
    covariance = covariance_after(covariance, Step<double>{t.change[row], t.sum[row]},
                                  Step<double>{t.change[row + lag], t.sum[row + lag]});
  }
}

/// Numbers in the order of doubles, for machines that compare whole numbers only. Not for NaN.
LAPWING_HOST_DEVICE inline std::uint64_t ordered(double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}
LAPWING_HOST_DEVICE inline double unordered(std::uint64_t bits) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  bits = (bits & kSign) != 0 ? bits & ~kSign : ~bits;
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace lapwing::detect::profile
