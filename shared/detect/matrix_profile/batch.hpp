// SPDX-License-Identifier: Apache-2.0
/// The matrix profile of a whole series (a self-join).
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::detect {

struct Profile {
  /// z-normalised Euclidean distance of each window to its nearest neighbour, in [0, 2
  /// sqrt(window)]; infinity where there is none. One for each of the values - window + 1 windows.
  std::vector<double> distances;
  std::vector<std::int64_t> neighbours;  ///< first value of the neighbour; -1 where there is none
};

/// Nearest neighbours among all windows, or among the earlier ones only (`left`), nearer than
/// ceil(window / 4) values left out as trivial.
///
/// Windows with a value that is not finite have no neighbour and are none. Of two flat windows the
/// distance is 0, of a flat and another sqrt(window), as in stumpy.
///
/// Errors: bad_config (a window below 3 or above the number of values); no_device (Device::cuda,
/// and the build or the machine has none, or it fails: the CPU gives the same within 1e-9). Cost:
/// O(n^2), about 0.25 ns a pair of windows on one x86-64 core (twice that without `left`,
///   which looks from both sides); 80 bytes a value. The instruction set is chosen at run time;
///   results of two differ by rounding only.
/// Source: Zimmerman et al., Matrix Profile XIV: SCAMP (2019); for `left`: Lu et al., DAMP (2022).
Result<Profile> matrix_profile(std::span<const double> values, std::size_t window,
                               bool left = false, Device device = Device::cpu);

}  // namespace lapwing::detect
