// SPDX-License-Identifier: Apache-2.0
/// Which column of a CSV file is which.
#pragma once

#include "shared/base/result.hpp"
#include "shared/csv/read_rows.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::csv {

struct Columns {
  std::optional<std::size_t> time;  ///< none: times are made up
  std::vector<std::size_t> values;  ///< one or several
  std::vector<std::string> names;   ///< of the values: the header's, or numbers from 1
  std::optional<std::size_t> label;
  bool header = false;

  /// Fields a row needs.
  [[nodiscard]] std::size_t needed() const;
};

/// From the first row, and of each column the first field below it that is not empty (there may be
/// none). A first row in which nothing is a number is a header. Errors: bad_input (no such column:
/// names those there are), bad_config (one is named twice).
Result<Columns> find_columns(std::span<const std::string_view> first,
                             std::span<const std::string> below, const ReadOptions& options);

}  // namespace lapwing::csv
