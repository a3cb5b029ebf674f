// SPDX-License-Identifier: Apache-2.0
/// How the columns of a table, each in its own unit, become numbers that distances can add up.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/kind.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lapwing::detect {

enum class Scaling : std::uint8_t {
  common = 0,    ///< one factor for all columns: distances keep their proportions
  standard = 1,  ///< each column by its standard deviation
  robust = 2,    ///< each by its interquartile range, then asinh: far values come nearer
};

/// Centres and scales rows by what a training table showed, so that single precision suffices.
///
/// A column that is constant in training counts 0 while it stays so and kConstantStep otherwise: a
/// change there is plainly strange, whatever its unit. Far values are cut at kFarthest.
/// Units: scaled numbers are unitless. Missing (NaN) stays NaN. Threads: immutable once made.
class Columns {
 public:
  static constexpr float kConstantStep = 10;
  static constexpr float kFarthest = 1e12F;

  /// Errors: bad_input (no rows, or no column that varies), naming the kind.
  static Result<Columns> learn(std::string_view kind, const Table& table, Scaling scaling);
  /// What a column showed; all 0 where it had no number.
  struct Shown {
    double least = 0;
    double greatest = 0;
    double mean = 0;
    double deviation = 0;  ///< of the population
  };
  /// What learn() makes with Scaling::standard of rows that showed this. Errors: as learn().
  static Result<Columns> standard(std::string_view kind, std::span<const Shown> columns);

  [[nodiscard]] std::size_t width() const noexcept { return columns_.size(); }
  [[nodiscard]] float scale(std::size_t column, double value) const noexcept;
  /// What a number off the centre is multiplied with; 0: the column is constant.
  [[nodiscard]] double factor(std::size_t column) const noexcept { return columns_[column].factor; }
  /// `row` and `out` have width() numbers.
  void scale(std::span<const double> row, std::span<float> out) const noexcept;
  /// What a scaled 1 is in the table's unit where the scaling is common; 1 otherwise.
  [[nodiscard]] double unit() const noexcept;
  /// Where 0 lies on the scaled column, seen from its centre; 0 unless the scaling is common, where
  /// columns keep their distances from each other.
  [[nodiscard]] double origin(std::size_t column) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept { return columns_.capacity() * sizeof(Column); }

  /// For models: the width is known before; see sound().
  explicit Columns(std::size_t width = 0) : columns_(width) {}
  template <class A>
  void fields(A& archive) {
    archive(scaling_, columns_);
  }
  /// Whether what was read from a model can be.
  [[nodiscard]] bool sound() const noexcept;

 private:
  struct Column {
    double centre = 0;
    double factor = 0;  ///< 0: constant in training

    template <class A>
    void fields(A& archive) {
      archive(centre, factor);
    }
  };

  Scaling scaling_ = Scaling::standard;
  std::vector<Column> columns_;
};

/// Which rows of the table to keep: all that hold a number, or `rows_max` of them drawn without
/// return (Fisher and Yates); ascending. The same seed draws the same rows.
std::vector<std::size_t> draw_rows(const Table& table, std::size_t rows_max, std::uint64_t seed);

/// The rows scaled, row-major; missing numbers become 0, the centre.
std::vector<float> scaled_rows(const Table& table, std::span<const std::size_t> rows,
                               const Columns& columns);

}  // namespace lapwing::detect
