// SPDX-License-Identifier: Apache-2.0
/// The rows a neighbour model compares with, and the search as detectors use it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/detect/columns.hpp"
#include "shared/detect/cuda/rows_on_device.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/neighbours/index.hpp"
#include "shared/detect/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::detect::neighbours {

/// Parameters that all neighbour kinds share.
inline constexpr Parameter kStandardize{
    "standardize", "1: every column by its standard deviation; 0: columns as they are", 1, 0, 1};
inline constexpr Parameter kRowsMax{
    "rows_max", "rows kept to compare with, drawn from the training rows", 10'000, 100, 1'000'000};

/// What a model holds. Fields are public: it is data between training, bytes and detector.
struct Reference {
  Columns columns;
  std::uint32_t neighbours = 0;
  std::uint32_t count = 0;  ///< rows; more than `neighbours`
  std::vector<float> rows;  ///< scaled, row-major, as Index::order() left them

  /// Draws, scales and orders, by the parameters `neighbours` (cut to one less than the rows there
  /// are), `rows_max` and `standardize`.
  /// Errors: bad_input (fewer than 3 rows, no column that varies).
  static Result<Reference> learn(const Kind& kind, const Table& table, const Settings& settings);

  void write(StateWriter& writer) const { writer(neighbours, count, columns, rows); }
  /// Reads what write() wrote, for rows of `width`; false when it cannot be.
  [[nodiscard]] bool read(StateReader& reader, std::size_t width);
};

/// Puts a model on a CUDA device; `kth_distances` and `densities` are empty for `knn`.
/// Errors: no_device, naming the kind.
Result<std::unique_ptr<RowsOnDevice>> open_device(const Kind& kind, const Reference& reference,
                                                  std::span<const float> kth_distances,
                                                  std::span<const float> densities);

/// The nearest other rows of one row.
struct Nearest {
  std::span<const float> distances;  ///< ascending, as if every column had been present
  std::span<const std::uint32_t> rows;
};

/// Looks for the neighbours of one row after another, with its own scratch.
/// Threads: one object is used from one thread at a time.
class Neighbours {
 public:
  /// Takes what it needs of the model; `reference.rows` may go afterwards.
  explicit Neighbours(const Reference& reference);

  [[nodiscard]] std::size_t width() const noexcept { return index_.width(); }
  [[nodiscard]] std::size_t count() const noexcept { return index_.rows(); }
  /// Empty when every column is missing. Valid until the next call.
  Nearest of(std::span<const double> row) noexcept;
  /// The same for a row that is scaled already, NaN where missing.
  Nearest of_scaled(std::span<const float> row) noexcept;
  /// Adds what each column adds to the distances of the last call, summed over the neighbours: a
  /// distance is the sum of off^2 / distance over the columns, so the parts add up to the whole.
  void add_shares(std::span<float> out) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  Columns columns_;
  Index index_;
  Search search_;
  std::size_t first_ = 0;  ///< of search_.rows: behind the row itself
};

}  // namespace lapwing::detect::neighbours
