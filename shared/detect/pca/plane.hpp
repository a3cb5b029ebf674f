// SPDX-License-Identifier: Apache-2.0
/// Scores rows against principal components: a quadratic form and what each column adds to it.
#pragma once

#include "shared/detect/pca/components.hpp"
#include "shared/detect/pca/task.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace lapwing::detect::pca {

/// The index T^2 / limit + Q / limit of one row after another, with its own scratch.
/// Threads: one object is used from one thread at a time.
class Plane {
 public:
  /// A limit of 0 leaves its part out.
  Plane(Components components, double limit_within, double limit_beside);

  /// `row` is scaled, NaN where missing, of the components' width. A missing column counts as the
  /// value that suits the others best.
  double index(std::span<const float> row) noexcept;
  /// Reconstruction-based contributions to the last index (Alcala and Qin 2009): how much it falls
  /// when one column is set to the value that suits the others best.
  void add_shares(std::span<float> out) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  /// Gauss and Seidel on the columns that are missing, from the training mean on.
  void fill_missing() noexcept;

  Components components_;
  std::vector<double> weights_;
  std::vector<double> stiffness_;
  Form form_;
  std::vector<double> row_;
  std::vector<double> projected_;
  std::vector<std::size_t> missing_;  ///< the first `missing_count_`
  std::size_t missing_count_ = 0;
};

}  // namespace lapwing::detect::pca
