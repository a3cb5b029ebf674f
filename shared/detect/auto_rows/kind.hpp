// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/kind.hpp"

#include <array>

namespace lapwing::detect {

Result<std::unique_ptr<Detector>> make_auto_rows(const Settings& settings, const Context& context);
Result<std::vector<std::byte>> train_auto_rows(const Table& table, const Settings& settings,
                                               const Progress& progress);

inline constexpr std::array kAutoRowsParameters{
    Parameter{"sample_rows", "rows that distances are measured to", 1024, 64, 20'000}};

inline constexpr Kind kAutoRows{
    .name = "auto",
    .summary = "distance, density, rarity by column and broken relations, fused by rank",
    .when = "the default for tables: columns of any unit, training rows that need not be clean",
    .input = Input::rows,
    .learning = Learning::trained,
    .parameters = kAutoRowsParameters,
    .state_bytes_max = 512 * 1024,
    .nanoseconds_row = 15'000,
    .make = &make_auto_rows,
    .train = &train_auto_rows};

}  // namespace lapwing::detect
