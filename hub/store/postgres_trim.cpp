// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_trim.hpp"

#include "hub/store/trim.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

/// What a row takes in its table.
constexpr std::uint64_t kHistoryRowBytes = 152;
constexpr std::uint64_t kLedgerRowBytes = 80;
constexpr std::int64_t kTrimLock = 0x6c777472;  // advisory: one replica trims at a time

class PostgresTrim final : public TrimPass {
 public:
  PostgresTrim(postgres::Connection& db, std::mutex& mutex, Partitions& partitions,
               const Retention& keep, Time at)
      : TrimPass(db, mutex, keep, at), partitions_(partitions) {}

 private:
  void trim_records(const std::vector<Device>&) override {
    const auto before = at_ - std::chrono::duration_cast<Micros>(keep_.history);
    const auto first_day = day_of(before);
    keep_live_keys(from_micros(first_day * kDayUs));
    trim_days("ledger", first_day, kLedgerRowBytes, std::nullopt, done_.ledger);
    trim_days("history", first_day, kHistoryRowBytes, keep_.history_rows, done_.history);
  }

  /// Live copies ahead of a backlog that is older than retention: exactly-once still goes by them.
  void keep_live_keys(Time before) {
    if (auto made = partitions_.ensure(day_of(at_)); !made) return fail(std::move(made).error());
    step([&](sql::Connection& db) {
      db.run(
          "WITH old AS (DELETE FROM ledger l USING devices d WHERE l.received_at < ?1"
          " AND d.tenant_no = l.tenant_no AND d.device_no = l.device_no AND d.epoch = l.epoch"
          " AND l.seq_last > d.watermark RETURNING l.*)"
          " INSERT INTO ledger SELECT ?2, tenant_no, device_no, epoch, seq_first, seq_last,"
          " classes, hashes FROM old",
          to_micros(before), to_micros(at_));
      return 0;
    });
  }

  /// The days before `first_day`, and of the others the oldest while there are more rows than
  /// that. Rows are reckoned from sizes: to count them would mean to read them.
  void trim_days(std::string_view table, std::int64_t first_day, std::uint64_t row_bytes,
                 std::optional<std::uint64_t> rows_max, std::uint64_t& total) {
    if (!going()) return;
    auto days = partitions_.list(table);
    if (!days) return fail(std::move(days).error());
    std::uint64_t rows = 0;
    for (const auto& day : *days) rows += day.bytes / row_bytes;
    std::vector<Partitions::Partition> old;
    for (auto& day : *days) {
      const bool full = rows_max && rows > *rows_max;
      if (day.day >= day_of(at_) || (day.day >= first_day && !full)) break;
      rows -= day.bytes / row_bytes;
      total += day.bytes / row_bytes;
      old.push_back(std::move(day));
    }
    if (auto dropped = partitions_.drop(table, old); !dropped) fail(std::move(dropped).error());
  }

  Partitions& partitions_;
};

}  // namespace

Result<Trimmed> trim_postgres(postgres::Connection& db, std::mutex& mutex, Partitions& partitions,
                              const Retention& keep, Time at) {
  bool mine = false;
  {
    const std::scoped_lock lock(mutex);
    auto asked = db.transaction(sql::Connection::Access::read, [&] {
      db.rows(
          "SELECT pg_try_advisory_lock(?)",
          [&](const sql::Row& row) { mine = row.integer(0) != 0; }, kTrimLock);
    });
    if (!asked) return std::move(asked).error();
  }
  if (!mine) return Trimmed{};
  auto trimmed = PostgresTrim(db, mutex, partitions, keep, at).run();
  const std::scoped_lock lock(mutex);
  db.clear_failure();
  db.rows(
      "SELECT pg_advisory_unlock(?)", [](const sql::Row&) {}, kTrimLock);
  db.clear_failure();
  return trimmed;
}

}  // namespace lapwing::hub
