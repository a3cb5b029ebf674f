// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_spool.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace lapwing::hub {
namespace {

/// Numbers in one statement.
constexpr std::size_t kNumbersMax = 500;

/// Numbers are ours, so they are written into the statement: as many arguments would be a statement
/// to prepare for each count.
void delete_rows(sql::Connection& db, std::span<const std::uint64_t> numbers) {
  while (!numbers.empty()) {
    const auto some = numbers.first(std::min(numbers.size(), kNumbersMax));
    std::string list;
    for (const auto number : some) list += (list.empty() ? "" : ",") + std::to_string(number);
    db.script("DELETE FROM spool WHERE number IN (" + list + ")");
    numbers = numbers.subspan(some.size());
  }
}

}  // namespace

void add_to_spool(sql::Connection& db, const SpoolRow& row) {
  db.post(
      "INSERT INTO spool(sink, tenant, device, class, epoch, seq, seq_last, records, received_at,"
      " bytes, value) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
      row.sink, row.key.tenant, row.key.device, row.record_class, row.epoch, row.seq, row.seq_last,
      row.records, to_micros(row.received_at), row.value.size(), row.value);
}

Result<bool> SqlSpool::lease(std::string_view sink, std::string_view holder, Time at,
                             Micros length) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    return db.run(
               "INSERT INTO spool_leases VALUES(?1, ?2, ?3) ON CONFLICT(sink) DO UPDATE"
               " SET holder = ?2, until_us = ?3"
               " WHERE spool_leases.holder = ?2 OR spool_leases.until_us <= ?4",
               sink, holder, to_micros(at + length), to_micros(at)) > 0;
  });
}

Result<void> SqlSpool::release(std::string_view sink, std::string_view holder) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    db.run("DELETE FROM spool_leases WHERE sink=? AND holder=?", sink, holder);
    return {};
  });
}

Result<std::vector<SpoolRow>> SqlSpool::oldest(std::string_view sink, std::size_t rows,
                                               std::uint64_t bytes) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<SpoolRow>> {
    std::uint64_t last = 0;
    std::uint64_t sum = 0;
    bool full = false;
    db.rows(
        "SELECT number, bytes FROM spool WHERE sink=? ORDER BY number LIMIT ?",
        [&](const sql::Row& row) {
          sum += row.count(1);
          full = full || (last != 0 && sum > bytes);
          if (!full) last = row.count(0);
        },
        sink, rows);
    std::vector<SpoolRow> found;
    db.rows(
        "SELECT number, tenant, device, class, epoch, seq, seq_last, records, received_at, value"
        " FROM spool WHERE sink=? AND number <= ? ORDER BY number",
        [&](const sql::Row& row) {
          found.push_back({.number = row.count(0),
                           .sink = std::string(sink),
                           .key = {row.text(1), row.text(2)},
                           .record_class = static_cast<int>(row.integer(3)),
                           .epoch = row.count(4),
                           .seq = row.count(5),
                           .seq_last = row.count(6),
                           .records = row.count(7),
                           .received_at = from_micros(row.integer(8)),
                           .value = row.text(9)});
        },
        sink, last);
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<void> SqlSpool::remove(std::span<const std::uint64_t> numbers) {
  if (numbers.empty()) return {};
  return access_.change([&](sql::Connection& db) -> Result<void> {
    delete_rows(db, numbers);
    return {};
  });
}

Result<SpoolFigures> SqlSpool::figures(std::string_view sink) {
  return access_.read([&](sql::Connection& db) -> Result<SpoolFigures> {
    SpoolFigures figures;
    db.rows(
        "SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM spool WHERE sink=?",
        [&](const sql::Row& row) {
          figures.rows = row.count(0);
          figures.bytes = row.count(1);
        },
        sink);
    db.rows(
        "SELECT received_at FROM spool WHERE sink=? ORDER BY number LIMIT 1",
        [&](const sql::Row& row) { figures.oldest = from_micros(row.integer(0)); }, sink);
    if (db.failed()) return db.failure();
    return figures;
  });
}

Result<std::uint64_t> SqlSpool::give_up(std::string_view sink, std::uint64_t after,
                                        std::size_t rows) {
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    using DeviceEpoch = std::pair<DeviceKey, std::uint64_t>;
    std::map<DeviceEpoch, SpoolRow> places;
    std::vector<std::uint64_t> numbers;
    std::uint64_t records = 0;
    db.rows(
        "SELECT number, tenant, device, epoch, class, seq, seq_last, records, received_at"
        " FROM spool WHERE sink=? AND number > ? ORDER BY number LIMIT ?",
        [&](const sql::Row& row) {
          numbers.push_back(row.count(0));
          const bool before = row.integer(4) <= kSpoolGivenUp;
          records += before ? 0 : row.count(7);
          auto& place = places[{DeviceKey{row.text(1), row.text(2)}, row.count(3)}];
          if (place.number == 0) {
            place.number = row.count(0);
            place.seq = row.count(5);
            place.records = 0;
            place.received_at = from_micros(row.integer(8));
          }
          place.seq = std::min(place.seq, row.count(5));
          place.seq_last = std::max(place.seq_last, row.count(6));
          place.records += row.count(7);
        },
        sink, after, rows);
    delete_rows(db, numbers);
    for (const auto& [whose, place] : places) {
      db.post(
          "INSERT INTO spool(number, sink, tenant, device, class, epoch, seq, seq_last, records,"
          " received_at, bytes, value) VALUES(?,?,?,?,?,?,?,?,?,?,0,'')",
          place.number, sink, whose.first.tenant, whose.first.device, kSpoolGivenUp, whose.second,
          place.seq, place.seq_last, place.records, to_micros(place.received_at));
    }
    db.sync();
    return records;
  });
}

Result<void> SqlSpool::refuse(std::uint64_t number) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    db.run("UPDATE spool SET class=?, bytes=0, value='' WHERE number=?", kSpoolRefused, number);
    return {};
  });
}

}  // namespace lapwing::hub
