// SPDX-License-Identifier: Apache-2.0
/// What has to be carried over from a SQLite store to a PostgreSQL one, read from both schemas.
#pragma once

#include "shared/base/result.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub::migration {

/// A column as PostgreSQL keeps it; SQLite's values fit or the copy fails.
struct Column {
  enum class Type : std::uint8_t { boolean, smallint, integer, bigint, number, text, bytes };
  std::string name;
  Type type = Type::bigint;
  bool identity = false;  ///< PostgreSQL numbers it by itself
};

struct Table {
  std::string name;
  std::vector<Column> columns;
  /// `a, b, c`
  [[nodiscard]] std::string column_names() const;
};

/// Tables that are the same on both sides. `ledger`, `history` and `meta` are not, and are always
/// carried over.
struct Plan {
  std::vector<Table> tables;
};

/// Counters that SQLite keeps in `meta` and PostgreSQL as sequences of their own.
struct Counter {
  std::string_view meta_key;
  std::string_view sequence;
};
[[nodiscard]] const std::vector<Counter>& counters();
/// Rows of `meta` that only SQLite needs.
[[nodiscard]] bool of_sqlite_only(std::string_view meta_key);

/// unsupported: a table, column or sequence is on one side only, or of a type that is not known:
/// nobody has said how to carry it over. io, as the connections.
Result<Plan> make_plan(sql::Connection& sqlite, sql::Connection& postgres);

}  // namespace lapwing::hub::migration
