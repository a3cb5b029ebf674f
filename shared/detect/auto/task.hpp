// SPDX-License-Identifier: Apache-2.0
/// The search for a window's nearest centroid, the same on CPU and CUDA: whole numbers, whose sums
/// are exact, and a few roundings that all processors do alike. The vector form is nearest.cpp.
/// Plain C++17: nvcc compiles it too.
#pragma once

#include "shared/detect/host_device.hpp"

#include <cstddef>
#include <cstdint>

namespace lapwing::detect {

struct Nearest {
  std::uint32_t centroid = 0;
  float square = 0;  ///< of the distance, less that of the query's length
};

namespace codebooks {

constexpr float kFar = 3e38F;

/// Where code `i` of centroid `c` of `count` is kept: two dimensions side by side, centroid after
/// centroid, as the search multiplies and adds them in pairs.
LAPWING_HOST_DEVICE constexpr std::size_t place_of(std::size_t i, std::size_t c,
                                                   std::size_t count) {
  return 2 * (i / 2 * count + c) + i % 2;
}

/// Codebooks of one shape, one per stream; borrowed arrays.
struct Books {
  const std::int8_t* codes = nullptr;   ///< streams * dimensions * count: see place_of()
  const float* scales = nullptr;        ///< streams * count
  const std::uint32_t* used = nullptr;  ///< streams: centroids that there are, the first ones
  std::uint32_t count = 0;
  std::uint32_t dimensions = 0;
};

/// Windows, each of one of those streams; borrowed arrays.
struct Windows {
  const std::int16_t* queries = nullptr;  ///< windows * dimensions, within +-1023
  const float* scales = nullptr;          ///< what a query of 1 is worth
  const std::uint32_t* streams = nullptr;
};

LAPWING_HOST_DEVICE inline Nearest nearer(Nearest a, Nearest b) {
  if (a.square != b.square) return a.square < b.square ? a : b;
  return a.centroid < b.centroid ? a : b;
}

/// What one of some workers does for a window: the nearest of the centroids `worker`,
/// `worker` + `workers` and so on. The nearer() of all of them is the window's nearest; square kFar
/// when there is no centroid.
LAPWING_HOST_DEVICE inline Nearest nearest_of(const Books& books, const Windows& windows,
                                              std::size_t window, std::uint32_t worker,
                                              std::uint32_t workers) {
  const std::uint32_t stream = windows.streams[window];
  const std::size_t first = static_cast<std::size_t>(stream) * books.count;
  const std::int8_t* codes = books.codes + first * books.dimensions;
  const std::int16_t* query = windows.queries + window * books.dimensions;
  const float twice = 2 * windows.scales[window];
  Nearest best{0, kFar};
  for (std::uint32_t c = worker; c < books.used[stream]; c += workers) {
    std::int32_t with_query = 0;
    std::int32_t with_itself = 0;
    for (std::uint32_t i = 0; i < books.dimensions; ++i) {
      const std::int32_t code = codes[place_of(i, c, books.count)];
      with_query += code * query[i];
      with_itself += code * code;
    }
    const float scale = books.scales[first + c];
    const float square =
        scale * (scale * static_cast<float>(with_itself) - twice * static_cast<float>(with_query));
    if (square < best.square) best = {c, square};
  }
  return best;
}

}  // namespace codebooks
}  // namespace lapwing::detect
