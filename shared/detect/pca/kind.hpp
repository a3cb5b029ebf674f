// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_pca(const Settings& settings, const Context& context);
Result<std::vector<std::byte>> train_pca(const Table& table, const Settings& settings,
                                         const Progress& progress);

inline constexpr std::array kPcaParameters{
    Parameter{"variance", "share of the variance that the components keep; the rest is residual",
              0.9, 0.1, 0.999, false}};

inline constexpr Kind kPca{
    .name = "pca",
    .summary = "Hotelling's T^2 and the squared prediction error Q of principal components",
    .when = "many sensors that move together; a broken relation is strange, and so is a far level",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kPcaParameters,
    .state_bytes_max = 4096,
    .nanoseconds_row = 150,
    .make = &make_pca,
    .train = &train_pca};

}  // namespace lapwing::detect
