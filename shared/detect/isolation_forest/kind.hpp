// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_isolation_forest(const Settings& settings,
                                                        const Context& context);
Result<std::vector<std::byte>> train_isolation_forest(const Table& table, const Settings& settings,
                                                      const Progress& progress);

inline constexpr std::array kIsolationForestParameters{
    Parameter{.name = "trees",
              .summary = "trees in the forest; more make the score smoother",
              .value = 100,
              .min = 1,
              .max = 1000},
    Parameter{.name = "sample",
              .summary = "rows drawn for each tree; all rows where there are fewer",
              .value = 256,
              .min = 8,
              .max = 4096},
    Parameter{.name = "extension",
              .summary = "0: a split looks at one sensor; k: at k + 1 (extended forest)",
              .value = 0,
              .min = 0,
              .max = 63},
};

inline constexpr Kind kIsolationForest{
    .name = "isolation_forest",
    .summary = "how few random splits set a row apart from a sample of the training rows",
    .when = "tables of many rows and columns, mixed units, no labels; fast to train and to score",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kIsolationForestParameters,
    .state_bytes_max = 256 * 1024,
    .nanoseconds_row = 500,
    .cuda = true,
    .make = &make_isolation_forest,
    .train = &train_isolation_forest};

}  // namespace lapwing::detect
