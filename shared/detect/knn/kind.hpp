// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"
#include "shared/detect/neighbours/reference.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_knn(const Settings& settings, const Context& context);
Result<std::vector<std::byte>> train_knn(const Table& table, const Settings& settings,
                                         const Progress& progress);

inline constexpr std::array kKnnParameters{
    Parameter{"neighbours", "nearest rows whose mean distance is the score", 20, 1, 1000},
    neighbours::kRowsMax, neighbours::kStandardize};

inline constexpr Kind kKnn{
    .name = "knn",
    .summary = "mean distance to the nearest rows of a sample of the training rows",
    .when = "tables where strange means far from everything seen; up to some tens of columns",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kKnnParameters,
    .state_bytes_max = 384 * 1024,
    .nanoseconds_row = 5000,
    .cuda = true,
    .make = &make_knn,
    .train = &train_knn};

}  // namespace lapwing::detect
