// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_auto_group(const Settings& settings, const Context& context);

inline constexpr std::array kAutoGroupParameters{
    Parameter{.name = "adapt",
              .summary = "rows between two trainings on rows without alarms; 0: frozen",
              .value = 0,
              .min = 0,
              .max = 100'000'000},
};

inline constexpr Kind kAutoGroup{
    .name = "auto",
    .summary = "shape of every sensor and dynamics between them, learnt in the warm-up",
    .when =
        "the default for sensors of one machine: says which sensor, and sees what no single "
        "one shows",
    .input = Input::group,
    .learning = Learning::online,
    .parameters = kAutoGroupParameters,
    .state_bytes_max = 256 * 1024,
    .nanoseconds_row = 700,
    .warmup_scores = true,
    .make = &make_auto_group};

}  // namespace lapwing::detect
