// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_halfspace_trees_stream(const Settings& settings,
                                                              const Context& context);
Result<std::unique_ptr<Detector>> make_halfspace_trees_group(const Settings& settings,
                                                             const Context& context);

inline constexpr std::array kHalfspaceTreesParameters{
    Parameter{.name = "trees",
              .summary = "more make the score smoother; time and memory in proportion",
              .value = 32,
              .min = 1,
              .max = 500},
    Parameter{.name = "depth",
              .summary = "halvings of space in a tree; memory doubles with each",
              .value = 8,
              .min = 3,
              .max = 12},
    Parameter{.name = "window",
              .summary = "rows between renewals of what is normal; eight windows are remembered",
              .value = 256,
              .min = 64,
              .max = 4096},
};

inline constexpr Kind kHalfspaceTreesStream{
    .name = "halfspace_trees",
    .summary = "how empty the space is where value, change, short means and noise lie",
    .when = "streams with several operating states; not thousands of them on a small device",
    .input = Input::stream,
    .learning = Learning::online,
    .parameters = kHalfspaceTreesParameters,
    .state_bytes_max = 256 * 1024,
    .nanoseconds_row = 350,
    .make = &make_halfspace_trees_stream};

inline constexpr Kind kHalfspaceTreesGroup{
    .name = "halfspace_trees",
    .summary = "how empty the space of the sensors' values is where the row lies",
    .when = "groups with several operating states, where unusual combinations count",
    .input = Input::group,
    .learning = Learning::online,
    .parameters = kHalfspaceTreesParameters,
    .state_bytes_max = 256 * 1024,
    .nanoseconds_row = 300,
    .make = &make_halfspace_trees_group};

}  // namespace lapwing::detect
