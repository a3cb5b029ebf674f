// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of one row of `one_class_svm`, the same on CPU and CUDA.
/// Plain C++17: nvcc compiles it too.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lapwing::detect::svm {

// Constants of exp(), used by the scalar and the vector form alike.
constexpr float kExponentMin = -87;       // e^-87 is the smallest normal number
constexpr float kLog2E = 1.44269504F;     // 1 / ln 2
constexpr float kLn2High = 0.693359375F;  // ln 2 = high + low; n * high is exact
constexpr float kLn2Low = -2.12194440e-4F;
constexpr float kScoreMax = 1e30F;

/// What r^(6 - i) is multiplied with.
LAPWING_HOST_DEVICE constexpr float taylor(int i) {
  constexpr float terms[] = {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1, 1};
  return terms[i];
}

/// e^x for x <= 0, never 0: below -87 it is e^-87. Relative error at most 5e-7: x = n ln 2 + r with
/// |r| <= ln 2 / 2, where seven terms of e^r leave out less than 2e-7.
LAPWING_HOST_DEVICE inline float exp_negative(float x) {
  x = x > kExponentMin ? x : kExponentMin;
  const float n = std::nearbyint(x * kLog2E);
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, x));
  float sum = taylor(0);
  for (int i = 1; i < 7; ++i) sum = std::fma(sum, r, taylor(i));
  const std::int32_t bits = (static_cast<std::int32_t>(n) + 127) << 23;
  float power = 0;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

/// The score from the nearest support vector's squared distance and the weighted sum of
/// e^(-gamma (d^2 - nearest)): -log of the mean kernel, without underflow however far the row is.
LAPWING_HOST_DEVICE inline float negative_log_kernel(float nearest, float sum, float gamma) {
  const float score = gamma * nearest - std::log(sum);
  return score > 0 ? (score < kScoreMax ? score : kScoreMax) : 0;
}

/// A model as a driver sees it; borrowed arrays.
struct Support {
  const float* vectors = nullptr;  ///< scaled, row-major
  const float* weights = nullptr;  ///< adding up to 1
  float gamma = 0;
  std::uint32_t count = 0;
  std::uint32_t width = 0;
};

/// Squared distance over the columns that are not missing (NaN).
LAPWING_HOST_DEVICE inline float squared_distance(const Support& support, const float* row,
                                                  std::uint32_t vector) {
  const float* at = support.vectors + static_cast<std::size_t>(vector) * support.width;
  float sum = 0;
  for (std::uint32_t c = 0; c < support.width; ++c) {
    const float off = row[c] - at[c];
    if (row[c] == row[c]) sum = std::fma(off, off, sum);
  }
  return sum;
}

/// All of one row, scaled, NaN where missing. The CPU driver does the same with vectors, which
/// keep the distances that are computed twice here.
LAPWING_HOST_DEVICE inline float score_row(const Support& support, const float* row) {
  std::uint32_t present = 0;
  for (std::uint32_t c = 0; c < support.width; ++c) present += row[c] == row[c] ? 1 : 0;
  if (present == 0) return 0;
  const float gamma =
      support.gamma * (static_cast<float>(support.width) / static_cast<float>(present));
  float nearest = squared_distance(support, row, 0);
  for (std::uint32_t i = 1; i < support.count; ++i) {
    const float squared = squared_distance(support, row, i);
    nearest = squared < nearest ? squared : nearest;
  }
  float sum = 0;
  for (std::uint32_t i = 0; i < support.count; ++i) {
    const float beyond = squared_distance(support, row, i) - nearest;
    sum = std::fma(support.weights[i], exp_negative(-gamma * beyond), sum);
  }
  return negative_log_kernel(nearest, sum, gamma);
}

}  // namespace lapwing::detect::svm
