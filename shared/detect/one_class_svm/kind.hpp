// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_one_class_svm(const Settings& settings,
                                                     const Context& context);
Result<std::vector<std::byte>> train_one_class_svm(const Table& table, const Settings& settings,
                                                   const Progress& progress);

inline constexpr std::array kOneClassSvmParameters{
    Parameter{"nu", "share of the training rows that may lie outside the region", 0.5, 0.001, 1,
              false},
    Parameter{"gamma", "kernel exp(-gamma d^2); 0: 1 / (width * variance of the training rows)", 0,
              0, 1e6, false},
    Parameter{"rows_max", "rows trained on, drawn from the training rows", 4000, 100, 50'000},
    Parameter{"features", "0: exact; else random features in the place of support vectors", 0, 0,
              8192},
    Parameter{"standardize", "1: every column by its standard deviation; 0: columns as they are", 1,
              0, 1}};

inline constexpr Kind kOneClassSvm{
    .name = "one_class_svm",
    .summary = "distance from a smooth region that holds most training rows",
    .when = "tables whose normal rows fill one or a few curved regions, trained on normal rows",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kOneClassSvmParameters,
    .state_bytes_max = 256 * 1024,
    .nanoseconds_row = 5000,
    .cuda = true,
    .make = &make_one_class_svm,
    .train = &train_one_class_svm};

}  // namespace lapwing::detect
