// SPDX-License-Identifier: Apache-2.0
#include "hub/migrate/verify.hpp"

#include <string>
#include <string_view>

namespace lapwing::hub::migration {
namespace {

/// Rows in memory at once.
constexpr int kFetchRows = 5'000;
constexpr int kFetchRuns = 200;  ///< of some 9 KB

/// All rows, some at a time.
void walk(sql::Connection& db, const std::string& name, const std::string& select, int rows,
          const sql::Connection::EachRow& each) {
  const auto cursor = "read_back_" + name;
  db.script("DECLARE " + cursor + " NO SCROLL CURSOR FOR " + select);
  const auto fetch = "FETCH FORWARD " + std::to_string(rows) + " FROM " + cursor;
  for (bool more = true; more && !db.failed();) {
    more = false;
    db.rows(fetch, [&](const sql::Row& row) {
      more = true;
      each(row);
    });
  }
  db.script("CLOSE " + cursor);
}

std::int64_t number_at(std::string_view bytes, std::size_t index) {
  std::uint64_t value = 0;
  for (const char byte : bytes.substr(index * 8, 8)) {
    value = value << 8U | static_cast<unsigned char>(byte);
  }
  return static_cast<std::int64_t>(value);
}

void hash_value(const Column& column, const sql::Row& row, int at, RowHash& hash) {
  if (row.is_null(at)) return hash.null();
  switch (column.type) {
    case Column::Type::number:
      return hash.number(row.number(at));
    case Column::Type::text:
    case Column::Type::bytes:
      return hash.bytes(row.view(at));
    default:
      return hash.integer(row.integer(at));
  }
}

}  // namespace

Digest read_back(sql::Connection& target, const Table& table, const Tick& tick) {
  Digest digest;
  walk(target, table.name, "SELECT " + table.column_names() + " FROM " + table.name, kFetchRows,
       [&](const sql::Row& row) {
         RowHash hash;
         for (int at = 0; const auto& column : table.columns) hash_value(column, row, at++, hash);
         digest.add(hash.value());
         tick();
       });
  return digest;
}

Digest read_back_ledger(sql::Connection& target, const Tick& tick) {
  Digest digest;
  walk(target, "ledger",
       "SELECT tenant_no, device_no, epoch, seq_first, seq_last, classes, hashes FROM ledger",
       kFetchRuns, [&](const sql::Row& row) {
         const auto classes = row.view(5);
         const auto hashes = row.view(6);
         const auto records = static_cast<std::size_t>(row.integer(4) - row.integer(3) + 1);
         if (classes.size() != records || hashes.size() != 8 * records) return;  // rows will lack
         for (std::size_t i = 0; i < records; ++i) {
           RowHash hash;
           for (int at = 0; at < 3; ++at) hash.integer(row.integer(at));
           hash.integer(row.integer(3) + static_cast<std::int64_t>(i));
           hash.integer(static_cast<unsigned char>(classes[i]));
           hash.integer(number_at(hashes, i));
           digest.add(hash.value());
           tick();
         }
       });
  return digest;
}

Digest read_back_history(sql::Connection& target, const Tick& tick) {
  Digest digest;
  walk(target, "history",
       "SELECT tenant_no, device_no, minute, stream_no, begin_us, end_us, readings, value_min,"
       " value_mean, value_max, score_mean, score_max, expected, lower, upper FROM history",
       kFetchRows, [&](const sql::Row& row) {
         RowHash hash;
         for (int at = 0; at < 7; ++at) hash.integer(row.integer(at));
         for (int at = 7; at < 15; ++at) hash.number(row.number(at));
         digest.add(hash.value());
         tick();
       });
  return digest;
}

}  // namespace lapwing::hub::migration
