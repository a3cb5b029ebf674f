// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_auto(const Settings& settings, const Context& context);

inline constexpr Kind kAutoStream{
    .name = "auto",
    .summary = "unlike any window, step or range the stream has shown",
    .when = "the default: machines, processes, telemetry with or without repeating patterns",
    .input = Input::stream,
    .learning = Learning::online,
    .state_bytes_max = 16 * 1024,
    .nanoseconds_row = 800,
    .evidence = true,
    .make = &make_auto};

}  // namespace lapwing::detect
