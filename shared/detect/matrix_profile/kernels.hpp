// SPDX-License-Identifier: Apache-2.0
/// The loops over many windows, compiled for each instruction set; the best is chosen at run time.
#pragma once

#include "shared/detect/matrix_profile/task.hpp"

#include <cstddef>
#include <span>

namespace lapwing::detect::profile {

/// Entries beyond the last window that the change, sum and inverse tables hold for best_later():
/// they may be read, and the inverse is NaN there.
inline constexpr std::size_t kPadding = 1024;

/// For each window the later window with the highest correlation: `best` is raised where a better
/// one is found, `where` is then its place. `covariance` holds that of window 0 and each window
/// (count + kPadding entries), and is used up.
void best_later(const Tables& tables, std::span<double> covariance, std::span<double> best,
                std::span<double> where);

/// A stretch of lags of the newest window against the past, one entry a lag.
struct Lags {
  float* covariance;
  const float* change;
  const float* sum;
  const float* inverse;  ///< NaN: is no neighbour
  std::size_t count;
};
struct BestLag {
  float correlation;  ///< without the newest window's own inverse; below -1e30 when there is none
  std::size_t at;     ///< within the stretch
};

/// Moves the covariances on by one reading, without and with looking for the best.
void advance(const Lags& lags, float change, float sum);
BestLag advance_and_search(const Lags& lags, float change, float sum, float common);

}  // namespace lapwing::detect::profile
