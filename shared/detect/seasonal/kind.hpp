// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_seasonal(const Settings& settings, const Context& context);

inline constexpr std::array kSeasonalParameters{
    Parameter{.name = "memory",
              .summary = "readings over which level, trend and scales are remembered",
              .value = 1000,
              .min = 50,
              .max = 100'000}};

inline constexpr Kind kSeasonal{
    .name = "seasonal",
    .summary = "robust level, trend and seasons by the clock: day, week, and the one you name",
    .when = "streams with daily or weekly habits: jobs, shifts, weekends, weather",
    .input = Input::stream,
    .learning = Learning::online,
    .parameters = kSeasonalParameters,
    .state_bytes_max = 8192,
    .nanoseconds_row = 130,
    .make = &make_seasonal};

}  // namespace lapwing::detect
