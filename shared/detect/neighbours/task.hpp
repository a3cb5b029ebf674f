// SPDX-License-Identifier: Apache-2.0
/// The arithmetic of one row of `knn` and `local_outlier_factor`, the same on CPU and CUDA.
/// Plain C++17: nvcc compiles it too.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cmath>
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

}  // namespace lapwing::detect::neighbours
