// SPDX-License-Identifier: Apache-2.0
/// Principal components of a table, found from the covariance of its scaled columns.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/columns.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace lapwing::detect::pca {

/// The least a component may vary and a residual may be, of a column's variance: an exact relation
/// between columns is one that holds to a thousandth of a deviation.
inline constexpr double kVarianceMin = 1e-6;

struct Components {
  std::vector<double> centre;     ///< of the scaled columns, one each
  std::vector<double> variances;  ///< falling; at least kVarianceMin
  std::vector<double> loadings;   ///< one unit vector of the width after the other

  [[nodiscard]] std::size_t count() const noexcept { return variances.size(); }
  template <class A>
  void fields(A& archive) {
    archive(centre, variances, loadings);
  }
  /// For models: makes room for `count` components of `width`.
  void resize(std::size_t count, std::size_t width);
  /// Whether what was read from a model can be.
  [[nodiscard]] bool sound() const noexcept;
};

/// The components with most variance, as many as hold `share` of it. Missing numbers count as the
/// columns' centre. Errors: shutting_down (cancelled; `progress` hears up to 0.5).
/// Cost: rows * width^2 + width^3.
Result<Components> find_components(const Kind& kind, const Table& table,
                                   std::span<const std::size_t> rows, const Columns& columns,
                                   double share, const Progress& progress);

/// The same from a covariance, width * width, of columns whose centre is left to the caller; `rest`
/// gets the variances beside them, falling. None where nothing varies.
Components components_of(std::span<const double> covariance, double share,
                         std::vector<double>& rest);

/// T^2 and Q of each row. Errors: shutting_down (`progress` hears from 0.5 on).
struct Distances {
  std::vector<double> within;
  std::vector<double> beside;
};
Result<Distances> measure(const Kind& kind, const Table& table, std::span<const std::size_t> rows,
                          const Columns& columns, const Components& components,
                          const Progress& progress);

}  // namespace lapwing::detect::pca
