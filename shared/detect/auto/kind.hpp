// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_auto(const Settings& settings, const Context& context);

inline constexpr Kind kAutoStream{
    .name = "auto",
    .summary = "prediction, level, noise and daily profile, each weighed by its own past",
    .when = "the default: machines, processes, telemetry with or without daily patterns",
    .input = Input::stream,
    .learning = Learning::online,
    .state_bytes_max = 4096,
    .nanoseconds_row = 200,
    .make = &make_auto};

}  // namespace lapwing::detect
