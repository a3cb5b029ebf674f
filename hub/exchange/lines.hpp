// SPDX-License-Identifier: Apache-2.0
/// The rows that regions tell one another as lines of JSON, and back.
///
/// A page is one line a row and a last line that ends it: `{"next": "...", "more": false, ...}`.
/// Whole numbers and decimals keep every digit; times are RFC 3339 in microseconds.
#pragma once

#include "hub/store/exchange.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// A line that is longer is refused. A record has a quarter of it.
inline constexpr std::size_t kLineBytesMax = std::size_t{1} << 20U;
inline constexpr std::size_t kCursorBytesMax = 512;

/// The kind of that name, as in an address; nullopt: there is none.
[[nodiscard]] std::optional<ExchangeKind> exchange_kind(std::string_view name);

/// One line, without its end.
[[nodiscard]] std::string to_line(const ExchangedRow& row);
/// What another hub sent is checked as what a device sends: names, sizes, ranges, words; keys that
/// are not known are passed over. bad_input: it says what is wrong.
Result<ExchangedRow> parse_line(ExchangeKind kind, std::string_view line);

/// What ends a page.
struct PageEnd {
  std::string tenant;
  std::string kind;
  std::string next;
  bool more = false;
};
[[nodiscard]] std::string to_line(const PageEnd& end);
/// bad_input: it is not one; the page was cut off, or is of something else.
Result<PageEnd> parse_page_end(std::string_view line);

}  // namespace lapwing::hub
