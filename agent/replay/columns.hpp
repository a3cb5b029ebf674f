// SPDX-License-Identifier: Apache-2.0
/// Which column of a CSV file is which.
#pragma once

#include "agent/replay/read_rows.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace lapwing::agent {

struct Columns {
  std::optional<std::size_t> time;  ///< none: times are made up
  std::size_t value = 0;
  std::optional<std::size_t> label;
  bool header = false;

  /// Fields a row needs.
  [[nodiscard]] std::size_t needed() const;
};

/// From the first two rows (the second may be empty). A first row in which nothing is a number is a
/// header. Errors: bad_input (no such column: names those there are).
Result<Columns> find_columns(std::span<const std::string_view> first,
                             std::span<const std::string_view> second, const ReadOptions& options);

[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

}  // namespace lapwing::agent
