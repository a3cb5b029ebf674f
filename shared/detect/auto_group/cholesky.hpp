// SPDX-License-Identifier: Apache-2.0
/// Symmetric positive definite systems, row-major, in place.
#pragma once

#include <cmath>
#include <cstddef>

namespace lapwing::detect::group {

/// The lower factor replaces the lower triangle of `a` (n * n). A pivot that rounding made
/// non-positive is replaced by a tiny one: the caller adds a ridge, so that it is not reached.
inline void factorise(double* a, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i == j) {
        a[i * n + i] = std::sqrt(sum > 1e-12 ? sum : 1e-12);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
  }
}

/// Replaces the `columns` right sides `b` (n * columns) by the solutions.
inline void solve(const double* factor, std::size_t n, double* b, std::size_t columns) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const double f = factor[i * n + k];
      for (std::size_t c = 0; c < columns; ++c) b[i * columns + c] -= f * b[k * columns + c];
    }
    for (std::size_t c = 0; c < columns; ++c) b[i * columns + c] /= factor[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) {
      const double f = factor[k * n + i];
      for (std::size_t c = 0; c < columns; ++c) b[i * columns + c] -= f * b[k * columns + c];
    }
    for (std::size_t c = 0; c < columns; ++c) b[i * columns + c] /= factor[i * n + i];
  }
}

}  // namespace lapwing::detect::group
