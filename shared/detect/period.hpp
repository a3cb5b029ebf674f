// SPDX-License-Identifier: Apache-2.0
/// How long a repeating pattern is, in readings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::detect {

/// What counts as a period.
enum class PeriodRule : std::uint8_t {
  likely,  ///< a lag from 3 on, with an autocorrelation above .2
  clear,  ///< a lag from 4 on, above .4, after the autocorrelation was below .1 once (a slow change
          ///< is like itself at every lag); outliers are cut to four spreads first
};

inline constexpr std::size_t kPeriodValuesMax = 4096;

/// The lag of the highest local maximum of the (unbiased) autocorrelation of `values` that fits the
/// rule, up to min(lag_max, half of the values); 0 when there is none. A longer lag must be 5 %
/// higher: multiples of a period are no better than it. `values` are finite, of any scale whose
/// changes a float can tell; of more than kPeriodValuesMax the last count.
///
/// Cost: values * lag_max multiplications; no allocation.
[[nodiscard]] std::size_t find_period(std::span<const float> values, std::size_t lag_max,
                                      PeriodRule rule = PeriodRule::likely) noexcept;

}  // namespace lapwing::detect
