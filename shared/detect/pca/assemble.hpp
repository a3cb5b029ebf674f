// SPDX-License-Identifier: Apache-2.0
/// A model of `pca` out of what is known of its rows, rather than of the rows.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/columns.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/pca/components.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace lapwing::detect::pca {

/// 99 % quantiles in training, of T^2 and of Q (0: the components hold everything).
struct Limits {
  double within = 1;
  double beside = 1;
};

/// The model's bytes. `covariance` is that of the scaled columns around 0, width * width. Its
/// limits are those of normal rows: of T^2 the chi-squared's, of Q Jackson and Mudholkar's (1979);
/// see with_limits(). Errors: bad_config, bad_input (nothing varies).
Result<std::vector<std::byte>> assemble(const Columns& columns, std::span<const double> covariance,
                                        const Settings& settings);

/// The same model with these limits, brought to what training may give. Errors: corrupt.
Result<std::vector<std::byte>> with_limits(std::span<const std::byte> model, std::size_t width,
                                           Limits limits);

/// T^2 and Q of the table's rows that hold a number, as training measures them. Errors: corrupt.
Result<Distances> distances(std::span<const std::byte> model, const Table& table);

}  // namespace lapwing::detect::pca
