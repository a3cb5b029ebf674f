// SPDX-License-Identifier: Apache-2.0
/// Fields of CSV rows as numbers and times.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <optional>
#include <string_view>

namespace lapwing::csv {

/// Without the white space around it.
[[nodiscard]] std::string_view trimmed(std::string_view text);
/// Decimal, `nan` and `inf` included; nullopt when it is anything else.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);
/// Any of the forms that read_rows() takes. Errors: bad_input.
Result<Time> parse_time(std::string_view text);

}  // namespace lapwing::csv
