// SPDX-License-Identifier: Apache-2.0
/// How long a repeating pattern is, in readings.
#pragma once

#include <cstddef>
#include <span>

namespace lapwing::detect {

/// The lag of the highest local maximum of the (unbiased) autocorrelation of `values`, between 3
/// and min(lag_max, half of the values); 0 when none is above .2. A longer lag must be 5 % higher:
/// multiples of a period are no better than it. Cost: values * lag_max multiplications; one
/// allocation.
[[nodiscard]] std::size_t find_period(std::span<const float> values, std::size_t lag_max);

}  // namespace lapwing::detect
