// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_ewma(const Settings& settings, const Context& context);

inline constexpr Kind kEwma{
    .name = "ewma",
    .summary = "distance from an exponentially weighted mean in standard deviations",
    .when = "tens of thousands of streams on a very small device; noise around a level",
    .input = Input::stream,
    .learning = Learning::online,
    .state_bytes_max = 256,
    .nanoseconds_row = 20,
    .make = &make_ewma};

}  // namespace lapwing::detect
