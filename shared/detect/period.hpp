// SPDX-License-Identifier: Apache-2.0
/// The length of a repeating pattern, from the autocorrelation.
#pragma once

#include <cstdint>
#include <span>

namespace lapwing::detect {

/// The lag, in values, of the highest clear peak (above .4) of the unbiased autocorrelation among
/// lags from 4 to two fifths of the values; 0 when there is none. A later peak must be 5 % higher
/// than an earlier one, since multiples of a period are no better than it. Scale and offset do not
/// matter; outliers are cut to four spreads. The values, all finite, are used up.
///
/// Cost: O(n * lags), no allocation.
[[nodiscard]] std::uint32_t find_period(std::span<double> values) noexcept;

}  // namespace lapwing::detect
