// SPDX-License-Identifier: Apache-2.0
#include "hub/migrate/plan.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <utility>

namespace lapwing::hub::migration {
namespace {

/// Carried over by code of their own: `meta` row by row, the others since PostgreSQL keeps them in
/// another shape.
constexpr std::string_view kOtherShape[] = {"history", "ledger", "meta"};
/// What one engine has for itself.
constexpr std::string_view kOfPostgresOnly[] = {"schema_version"};

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// By PostgreSQL's number of the type (catalog pg_type).
std::optional<Column::Type> type_from(std::int64_t oid) {
  switch (oid) {
    case 16:
      return Column::Type::boolean;
    case 17:
      return Column::Type::bytes;
    case 20:
      return Column::Type::bigint;
    case 21:
      return Column::Type::smallint;
    case 23:
      return Column::Type::integer;
    case 25:
      return Column::Type::text;
    case 701:
      return Column::Type::number;
    default:
      return std::nullopt;
  }
}

using Names = std::set<std::string>;

Names tables_of_sqlite(sql::Connection& db) {
  Names names;
  db.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
          [&](const sql::Row& row) { names.insert(row.text(0)); });
  return names;
}

/// Without partitions.
Names tables_of_postgres(sql::Connection& db) {
  Names names;
  db.rows(
      "SELECT relname::text FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE "
      "nspname = current_schema())"
      " AND relkind IN ('r', 'p') AND NOT relispartition",
      [&](const sql::Row& row) { names.insert(row.text(0)); });
  return names;
}

Names columns_of_sqlite(sql::Connection& db, const std::string& table) {
  Names names;
  db.rows(
      "SELECT name FROM pragma_table_info(?)",
      [&](const sql::Row& row) { names.insert(row.text(0)); }, table);
  return names;
}

Error unknown(const std::string& what) {
  return {Errc::unsupported,
          what + ": this version does not know how to carry it over from SQLite to PostgreSQL"};
}

Result<Table> read_table(sql::Connection& sqlite, sql::Connection& postgres,
                         const std::string& name) {
  Table table{name, {}};
  std::optional<Error> problem;
  auto there = columns_of_sqlite(sqlite, name);
  postgres.rows(
      "SELECT attname::text, atttypid::bigint, attidentity <> '' FROM pg_attribute"
      " WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
      [&](const sql::Row& row) {
        const auto type = type_from(row.integer(1));
        const auto column = row.text(0);
        if (there.erase(column) == 0) {
          problem = unknown("column " + name + "." + column + ", which PostgreSQL has alone");
        } else if (!type) {
          problem = unknown("the type of " + name + "." + column);
        } else {
          table.columns.push_back({column, *type, row.integer(2) != 0});
        }
      },
      name);
  if (!there.empty()) {
    problem = unknown("column " + name + "." + *there.begin() + ", which SQLite has alone");
  }
  if (problem) return *std::move(problem);
  return table;
}

/// Those that number no column.
Result<void> check_sequences(sql::Connection& postgres) {
  std::optional<Error> problem;
  postgres.rows(
      "SELECT relname::text FROM pg_class c WHERE relkind = 'S' AND relnamespace ="
      " (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND NOT EXISTS (SELECT 1 "
      "FROM pg_depend d"
      " WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))",
      [&](const sql::Row& row) {
        const auto known =
            std::any_of(counters().begin(), counters().end(),
                        [&](const Counter& one) { return one.sequence == row.view(0); });
        if (!known) problem = unknown("sequence " + row.text(0));
      });
  if (problem) return *std::move(problem);
  return {};
}

}  // namespace

std::string Table::column_names() const {
  std::string names;
  for (const auto& column : columns) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

const std::vector<Counter>& counters() {
  static const std::vector<Counter> all{{"dead_letter_number", "dead_letter_number"}};
  return all;
}

bool of_sqlite_only(std::string_view meta_key) {
  return meta_key == "history_rows" ||
         std::any_of(counters().begin(), counters().end(),
                     [&](const Counter& one) { return one.meta_key == meta_key; });
}

Result<Plan> make_plan(sql::Connection& sqlite, sql::Connection& postgres) {
  const auto here = tables_of_sqlite(sqlite);
  auto there = tables_of_postgres(postgres);
  Plan plan;
  for (const auto& name : here) {
    if (there.erase(name) == 0) return unknown("table " + name + ", which SQLite has alone");
    if (among(kOtherShape, name)) continue;
    auto table = read_table(sqlite, postgres, name);
    if (!table) return std::move(table).error();
    plan.tables.push_back(*std::move(table));
  }
  for (const auto& name : there) {
    if (among(kOfPostgresOnly, name)) continue;
    return unknown("table " + name + ", which PostgreSQL has alone");
  }
  if (auto known = check_sequences(postgres); !known) return std::move(known).error();
  for (auto* db : {&sqlite, &postgres}) {
    if (db->failed()) return db->failure();
  }
  return plan;
}

}  // namespace lapwing::hub::migration
