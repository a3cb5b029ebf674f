// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"
#include "shared/detect/neighbours/reference.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_local_outlier_factor(const Settings& settings,
                                                            const Context& context);
Result<std::vector<std::byte>> train_local_outlier_factor(const Table& table,
                                                          const Settings& settings,
                                                          const Progress& progress);

inline constexpr std::array kLocalOutlierFactorParameters{
    Parameter{"neighbours", "nearest rows that a row's density is compared with", 20, 1, 1000},
    neighbours::kRowsMax, neighbours::kStandardize};

inline constexpr Kind kLocalOutlierFactor{
    .name = "local_outlier_factor",
    .summary = "how much sparser a row's surroundings are than those of its neighbours",
    .when = "tables with regions of different density, each of which is normal",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kLocalOutlierFactorParameters,
    .state_bytes_max = 512 * 1024,
    .nanoseconds_row = 5000,
    .cuda = true,
    .make = &make_local_outlier_factor,
    .train = &train_local_outlier_factor};

}  // namespace lapwing::detect
