// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_partitions.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::int64_t kPartitionLock = 0x6c77706172;  // advisory: who makes or drops partitions
constexpr const char* kPartitioned[] = {"ledger", "history"};

std::string partition_name(std::string_view table, std::int64_t day) {
  return std::string(table) + "_d" + std::to_string(day);
}

}  // namespace

Result<void> Partitions::ensure(std::int64_t day) {
  const std::scoped_lock lock(mutex_);
  if (made_.contains(day)) return {};
  // Tomorrow's too: its first batch need not wait.
  for (const auto next : {day, day + 1}) {
    if (auto made = make(next); !made) return made;
    made_.insert(next);
  }
  return {};
}

/// A table is made and attached: transactions under way go on, which CREATE ... PARTITION OF would
/// keep waiting.
Result<void> Partitions::make(std::int64_t day) {
  auto& db = *db_;
  auto made = db.transaction(sql::Connection::Access::write, [&] {
    db.rows(
        "SELECT pg_advisory_xact_lock(?)", [](const sql::Row&) {}, kPartitionLock);
    for (const std::string table : kPartitioned) {
      const auto name = partition_name(table, day);
      bool there = false;
      db.rows(
          "SELECT to_regclass(?) IS NOT NULL",
          [&](const sql::Row& row) { there = row.integer(0) != 0; }, name);
      if (there) continue;
      db.script("CREATE TABLE " + name + "(LIKE " + table + "); ALTER TABLE " + table +
                " ATTACH PARTITION " + name + " FOR VALUES FROM (" + std::to_string(day * kDayUs) +
                ") TO (" + std::to_string((day + 1) * kDayUs) + ")");
    }
  });
  if (!made) return within("make the day's partitions", std::move(made).error());
  return {};
}

Result<std::vector<Partitions::Partition>> Partitions::list(std::string_view table) {
  const std::scoped_lock lock(mutex_);
  auto& db = *db_;
  std::vector<Partition> found;
  auto listed = db.transaction(sql::Connection::Access::read, [&] {
    db.rows(
        "SELECT c.relname::text, pg_relation_size(c.oid), i.inhdetachpending FROM pg_inherits i "
        "JOIN pg_class c"
        " ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(?)",
        [&](const sql::Row& row) {
          Partition one{row.text(0), 0, row.count(1), row.integer(2) != 0};
          const auto at = one.name.rfind("_d");
          if (at == std::string::npos) return;  // somebody else's
          std::from_chars(one.name.data() + at + 2, one.name.data() + one.name.size(), one.day);
          found.push_back(std::move(one));
        },
        table);
  });
  if (!listed) {
    return within("list partitions of " + std::string(table), std::move(listed).error());
  }
  std::sort(found.begin(), found.end(),
            [](const Partition& l, const Partition& r) { return l.day < r.day; });
  return found;
}

Result<void> Partitions::drop(std::string_view table, std::span<const Partition> partitions) {
  const std::scoped_lock lock(mutex_);
  auto& db = *db_;
  db.clear_failure();
  for (const auto& one : partitions) {
    made_.erase(one.day);
    db.script("ALTER TABLE " + std::string(table) + " DETACH PARTITION " + one.name +
              (one.half_gone ? " FINALIZE" : " CONCURRENTLY"));
    db.script("DROP TABLE " + one.name);
  }
  if (!db.failed()) return {};
  return within("drop old partitions of " + std::string(table), db.failure());
}

}  // namespace lapwing::hub
