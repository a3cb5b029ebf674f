// SPDX-License-Identifier: Apache-2.0
/// What the list queries share.
#pragma once

#include "hub/store/cursor.hpp"
#include "hub/store/store.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <limits>
#include <optional>

namespace lapwing::hub::reads {

inline constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

inline std::optional<Time> instant(const sql::Row& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_micros(row.integer(column));
}

/// Cuts the row that was read too many, and makes the cursor of the last one that stays.
template <class T, class MakeCursor>
void close_page(Page<T>& page, std::size_t rows, MakeCursor&& cursor) {
  if (page.items.size() <= rows) return;
  page.items.resize(rows);
  page.next_cursor = cursor(page.items.back());
}

/// A cursor of one whole number; absent: `first`.
inline Result<std::int64_t> number_cursor(const PageRequest& page, std::int64_t first) {
  if (page.cursor.empty()) return first;
  const auto parts = read_cursor(page.cursor, 1);
  if (!parts) return parts.error();
  return cursor_number((*parts)[0]);
}

}  // namespace lapwing::hub::reads
