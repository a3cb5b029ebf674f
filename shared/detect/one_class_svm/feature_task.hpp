// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of one row of `one_class_svm` with random features, the same on CPU and CUDA.
/// Plain C++17: nvcc compiles it too.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect::svm {

// Constants of cosine(), used by the scalar and the vector form alike.
constexpr float kPerTurn = 0.159154943F;  // 1 / (2 pi)
constexpr float kPiHigh = 3.14159274F;    // pi = high + low
constexpr float kPiLow = -8.74227766e-8F;
constexpr float kHalfAngleMax = 2;  // beyond pi / 2 only where an angle has no digits left
constexpr float kFarthest = 100;    // deviations: no kernel reaches so far, and cosines stay exact

/// What h^(12 - 2i) is multiplied with, in sin(h) / h.
LAPWING_HOST_DEVICE constexpr float sine_term(int i) {
  constexpr float terms[] = {1.0F / 6'227'020'800,
                             -1.0F / 39'916'800,
                             1.0F / 362'880,
                             -1.0F / 5040,
                             1.0F / 120,
                             -1.0F / 6,
                             1};
  return terms[i];
}

/// cos x within 6e-7 for |x| <= 10,000, and never beyond 1 by more than that: 1 - 2 sin^2 of half
/// of what whole turns leave of x, |h| <= pi / 2, where seven terms of sin h leave out next to
/// nothing.
LAPWING_HOST_DEVICE inline float cosine(float x) {
  const float turns = std::nearbyint(x * kPerTurn);
  float h = std::fma(turns, -kPiLow, std::fma(turns, -kPiHigh, x * 0.5F));
  h = h < kHalfAngleMax ? h : kHalfAngleMax;
  h = h > -kHalfAngleMax ? h : -kHalfAngleMax;
  const float square = h * h;
  float sum = sine_term(0);
  for (int i = 1; i < 7; ++i) sum = std::fma(sum, square, sine_term(i));
  const float sine = sum * h;
  return std::fma(sine * -2, sine, 1.0F);
}

/// A model as a driver sees it; borrowed arrays.
struct Features {
  const float* directions = nullptr;  ///< row-major, count * width
  const float* phases = nullptr;
  const float* amplitudes = nullptr;
  float least = 1;          ///< mean kernel that can be told from none
  std::uint32_t count = 0;  ///< a multiple of 4
  std::uint32_t width = 0;
};

/// A scaled number as features take it: missing ones (NaN) count as the mean.
LAPWING_HOST_DEVICE inline float within_reach(float v) {
  if (!(v == v)) return 0;
  return v < kFarthest ? (v > -kFarthest ? v : -kFarthest) : kFarthest;
}

/// -log of the mean kernel, as far as it can be told.
LAPWING_HOST_DEVICE inline float negative_log_mean(float mean, float least) {
  return -std::log(mean > least ? (mean < 1 ? mean : 1) : least);
}

/// amplitude * cos(direction . query + phase) of one feature.
LAPWING_HOST_DEVICE inline float feature_of(const Features& features, const float* query,
                                            std::uint32_t feature) {
  const float* direction = features.directions + static_cast<std::size_t>(feature) * features.width;
  float angle = features.phases[feature];
  for (std::uint32_t c = 0; c < features.width; ++c) {
    angle = std::fma(query[c], direction[c], angle);
  }
  return features.amplitudes[feature] * cosine(angle);
}

/// All of one row, scaled, NaN where missing; `query` is scratch as wide as the row. The CPU driver
/// does the same with vectors, and adds up in another order.
LAPWING_HOST_DEVICE inline float score_row(const Features& features, const float* row,
                                           float* query) {
  std::uint32_t present = 0;
  for (std::uint32_t c = 0; c < features.width; ++c) {
    present += row[c] == row[c] ? 1 : 0;
    query[c] = within_reach(row[c]);
  }
  if (present == 0) return 0;
  float sums[4] = {0, 0, 0, 0};  // side by side: rounding stays small
  for (std::uint32_t i = 0; i < features.count; i += 4) {
    for (std::uint32_t k = 0; k < 4; ++k) sums[k] += feature_of(features, query, i + k);
  }
  return negative_log_mean((sums[0] + sums[1]) + (sums[2] + sums[3]), features.least);
}

}  // namespace lapwing::detect::svm
