// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of one row of `knn` and `local_outlier_factor`, the same on CPU and CUDA.
/// Plain C++17: nvcc compiles it too.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lapwing::detect::neighbours {

/// Adds one column to a squared distance. The vector kernel does the same, lane by lane.
LAPWING_HOST_DEVICE inline float add_column(float squared, float query, float reference) {
  const float off = query - reference;
  return std::fma(off, off, squared);
}

/// Puts a row into the `count` nearest so far, ascending; call only when it is nearer than the
/// last of them.
LAPWING_HOST_DEVICE inline void keep_nearest(float* squared, std::uint32_t* rows,
                                             std::uint32_t count, float distance,
                                             std::uint32_t row) {
  std::uint32_t at = count - 1;
  for (; at > 0 && squared[at - 1] > distance; --at) {
    squared[at] = squared[at - 1];
    rows[at] = rows[at - 1];
  }
  squared[at] = distance;
  rows[at] = row;
}

/// The first of count + 1 nearest rows that counts: a row that equals the query is the query
/// itself when the rows trained on are scored, so one such row is passed over.
LAPWING_HOST_DEVICE inline std::uint32_t first_other(const float* squared) {
  return squared[0] == 0 ? 1 : 0;
}

/// Distances over the columns present, as if all had been; in place.
LAPWING_HOST_DEVICE inline float distance(float squared, std::uint32_t present,
                                          std::uint32_t width) {
  return std::sqrt(squared * (static_cast<float>(width) / static_cast<float>(present)));
}

LAPWING_HOST_DEVICE inline float mean_distance(const float* distances, std::uint32_t count) {
  float sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += distances[i];
  return sum / static_cast<float>(count);
}

/// Keeps densities finite among duplicates; the same number as scikit-learn's.
constexpr float kReachFloor = 1e-10F;

/// Local reachability density (Breunig et al. 2000, definition 6): one over the mean of the
/// distances to the neighbours, each at least the neighbour's own distance to its k-th.
LAPWING_HOST_DEVICE inline float reach_density(const float* distances, const std::uint32_t* rows,
                                               std::uint32_t count, const float* kth_distances) {
  float sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const float kth = kth_distances[rows[i]];
    sum += distances[i] > kth ? distances[i] : kth;
  }
  return 1 / (sum / static_cast<float>(count) + kReachFloor);
}

/// Definition 7: the neighbours' mean density over the row's own.
LAPWING_HOST_DEVICE inline float outlier_factor(float density, const std::uint32_t* rows,
                                                std::uint32_t count, const float* densities) {
  float sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += densities[rows[i]];
  return sum / (static_cast<float>(count) * density);
}

constexpr float kFactorMax = 1e30F;

/// A model as a driver sees it; borrowed arrays.
struct Model {
  const float* rows = nullptr;           ///< scaled, row-major
  const float* kth_distances = nullptr;  ///< local_outlier_factor only; null for knn
  const float* densities = nullptr;      ///< likewise
  std::uint32_t count = 0;
  std::uint32_t width = 0;
  std::uint32_t neighbours = 0;
};

/// The raw score from the distances of the nearest other rows.
LAPWING_HOST_DEVICE inline float score_nearest(const Model& model, const float* distances,
                                               const std::uint32_t* rows) {
  if (model.kth_distances == nullptr) return mean_distance(distances, model.neighbours);
  const float density = reach_density(distances, rows, model.neighbours, model.kth_distances);
  const float factor = outlier_factor(density, rows, model.neighbours, model.densities);
  return factor < kFactorMax ? factor : kFactorMax;
}

/// All of one row, trying every reference row: `row` is scaled, NaN where missing; `squared` and
/// `rows` are scratch for neighbours + 1. The CPU driver searches otherwise and scores alike.
LAPWING_HOST_DEVICE inline float score_row(const Model& model, const float* row, float* squared,
                                           std::uint32_t* rows) {
  std::uint32_t present = 0;
  for (std::uint32_t c = 0; c < model.width; ++c) present += row[c] == row[c] ? 1 : 0;
  if (present == 0) return 0;
  const std::uint32_t kept = model.neighbours + 1;
  for (std::uint32_t i = 0; i < kept; ++i) {
    squared[i] = 3e38F;
    rows[i] = 0;
  }
  for (std::uint32_t r = 0; r < model.count; ++r) {
    const float* reference = model.rows + static_cast<std::size_t>(r) * model.width;
    float sum = 0;
    for (std::uint32_t c = 0; c < model.width; ++c) {
      if (row[c] == row[c]) sum = add_column(sum, row[c], reference[c]);
    }
    if (sum < squared[kept - 1]) keep_nearest(squared, rows, kept, sum, r);
  }
  const std::uint32_t first = first_other(squared);
  for (std::uint32_t i = first; i < first + model.neighbours; ++i) {
    squared[i] = distance(squared[i], present, model.width);
  }
  return score_nearest(model, squared + first, rows + first);
}

}  // namespace lapwing::detect::neighbours
