// SPDX-License-Identifier: Apache-2.0
/// Counts, means and covariances of a table's columns that can be added up over devices.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lapwing::federate {

/// Sensors of one summary: pairs grow with the square, and what a device sends is bounded.
inline constexpr std::size_t kWidthMax = 160;

/// Two columns over the rows in which both have a number. Counts are whole until they are weighed.
struct Pair {
  double count = 0;
  double first = 0;    ///< mean of the column with the lower index, there
  double second = 0;   ///< mean of the other
  double product = 0;  ///< sum of the products of their distances from these means
};

/// Centred sums of all pairs of columns, brought together pair by pair (Chan, Golub and LeVeque,
/// *Updating formulae and a pairwise algorithm for computing sample variances*, 1979): large
/// offsets cost no digits, and merging gives what the union gives, but for rounding (tests: 1e-9 of
/// the columns' deviations).
///
/// A missing number (NaN) leaves its row out of the pairs of its column only; a row without any is
/// counted apart. So `pca` can be trained from it as from the rows, where a missing number is the
/// column's mean. Numbers beyond 1e150 are cut there, as in training.
/// Threads: distinct objects are safe.
class Moments {
 public:
  explicit Moments(std::size_t width = 0);
  /// Cost: rows * width^2 / 2. `table.width` is at most kWidthMax.
  static Moments of(const detect::Table& table);

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] double rows() const noexcept { return rows_; }  ///< with a number in them
  [[nodiscard]] double empty_rows() const noexcept { return empty_rows_; }
  [[nodiscard]] double least(std::size_t column) const { return least_[column]; }  ///< 0: no number
  [[nodiscard]] double greatest(std::size_t column) const { return greatest_[column]; }
  /// `first` <= `second`; the same twice: the column alone, its product the squares.
  [[nodiscard]] const Pair& pair(std::size_t first, std::size_t second) const {
    return pairs_[at(first, second)];
  }
  [[nodiscard]] double count(std::size_t c) const { return pair(c, c).count; }
  [[nodiscard]] double mean(std::size_t c) const { return pair(c, c).first; }
  [[nodiscard]] double deviation(std::size_t c) const;  ///< of the population
  /// Sum of products of the distances from the columns' own means over `rows`, a missing number
  /// counting as its column's mean; by `rows`.
  [[nodiscard]] double covariance(std::size_t first, std::size_t second) const;

  void add(std::span<const double> row);
  /// Errors: bad_shape (another width; nothing changed).
  Result<void> merge(const Moments& other);
  /// Least and greatest moved outwards, to steps of an eighth of the deviation from the mean: they
  /// are numbers of rows otherwise, and often of one row in several columns.
  void blur_extremes();
  /// The same as if each row had been there `factor` times.
  [[nodiscard]] Moments weighed(double factor) const;

 private:
  friend struct MomentsFields;  // the codec
  [[nodiscard]] static std::size_t at(std::size_t first, std::size_t second) noexcept {
    return second * (second + 1) / 2 + first;
  }

  std::size_t width_ = 0;
  double rows_ = 0;
  double empty_rows_ = 0;
  std::vector<double> least_;
  std::vector<double> greatest_;
  std::vector<Pair> pairs_;  ///< lower triangle with its diagonal
};

}  // namespace lapwing::federate
