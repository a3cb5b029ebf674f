// SPDX-License-Identifier: Apache-2.0
/// The benchmark collections, as they lie in a data folder: nab/, tsb-u/, tsb-m/, skab/, adbench/.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::quality {

/// One file of a collection: rows in time order (adbench: in no order).
struct Series {
  std::string name;                  ///< path within its collection, without .csv
  std::vector<std::string> sensors;  ///< names of the columns
  std::vector<double> values;        ///< rows * width, row-major; NaN = missing
  std::vector<Time> times;           ///< one per row; every five minutes where the file tells none
  std::vector<std::uint8_t> labels;  ///< one per row; empty: none
  std::vector<std::pair<std::size_t, std::size_t>> windows;  ///< nab: first and last row of each
  std::size_t train_rows = 0;  ///< rows from the start that may be learnt before judging
  std::size_t vus_window = 0;  ///< tsb: largest buffer of its score

  [[nodiscard]] std::size_t width() const { return sensors.size(); }
  [[nodiscard]] std::size_t rows() const { return times.size(); }
};

/// Errors: not_found (the collection is not in the folder), bad_input (the file and row are named).
Result<std::vector<Series>> read_nab(const std::filesystem::path& data);
/// `collection` is tsb-u or tsb-m.
Result<std::vector<Series>> read_tsb(const std::filesystem::path& data,
                                     const std::string& collection);
/// The labelled runs; each trains on its first 400 rows.
Result<std::vector<Series>> read_skab(const std::filesystem::path& data);
/// Tables whose last column is the label.
Result<std::vector<Series>> read_adbench(const std::filesystem::path& data);

}  // namespace lapwing::quality
