// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_matrix_profile(const Settings& settings,
                                                      const Context& context);

inline constexpr std::array kMatrixProfileParameters{
    Parameter{.name = "window",
              .summary = "readings compared at a time; 0: one period if there is one, else 32",
              .value = 0,
              .min = 0,
              .max = 512},
    Parameter{.name = "history",
              .summary = "readings searched for the most similar window, at least 4 windows",
              .value = 4096,
              .min = 256,
              .max = 65'536}};

inline constexpr Kind kMatrixProfile{
    .name = "matrix_profile",
    .summary = "distance of the last readings' shape to the most similar shape in the past",
    .when = "machines that repeat a pattern, whatever its length or level: cycles, beats, batches",
    .input = Input::stream,
    .learning = Learning::online,
    .parameters = kMatrixProfileParameters,
    .state_bytes_max = 96 * 1024,
    .nanoseconds_row = 1100,
    .make = &make_matrix_profile};

}  // namespace lapwing::detect
