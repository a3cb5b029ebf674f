// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_trim.hpp"

#include "hub/store/trim.hpp"

#include <algorithm>
#include <vector>

namespace lapwing::hub {
namespace {

constexpr std::int64_t kStepRows = 10'000;
/// Points from further ahead than this come from a wrong clock and go as the old ones do.
constexpr std::int64_t kAheadMinutes = 366LL * 24 * 60;

class SqliteTrim final : public TrimPass {
 public:
  SqliteTrim(SqliteWriter& writer, const Retention& keep, Time at)
      : TrimPass(writer.db(), writer.mutex, keep, at), writer_(writer) {}

 private:
  void trim_records(const std::vector<Device>& devices) override {
    for (const auto& device : devices) {
      trim_history(device);
      trim_ledger(device);
    }
    trim_history_rows(devices);
  }

  void undone() override { writer_.forget(); }

  std::int64_t delete_history(sql::Connection& db, const Device& d, std::int64_t before) {
    std::int64_t rows = 0;
    // Minute by minute from the oldest on, until the step is full or nothing is too old.
    while (!db.failed() && rows < kStepRows) {
      const auto gone = db.run(
          "DELETE FROM history WHERE tenant_no=?1 AND device_no=?2 AND minute < ?3 AND minute ="
          " (SELECT min(minute) FROM history WHERE tenant_no=?1 AND device_no=?2)",
          d.tenant_no, d.device_no, before);
      if (gone == 0) break;
      rows += gone;
    }
    writer_.history_shrank(rows);
    return rows;
  }

  [[nodiscard]] std::int64_t minute() const { return reads::minute_of(to_micros(at_)); }

  void trim_history(const Device& d) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(keep_.history).count();
    repeat(done_.history,
           [&](sql::Connection& db) { return delete_history(db, d, minute() - minutes); });
    step([&](sql::Connection& db) {
      const auto rows =
          db.run("DELETE FROM history WHERE tenant_no=? AND device_no=? AND minute > ?",
                 d.tenant_no, d.device_no, minute() + kAheadMinutes);
      writer_.history_shrank(rows);
      done_.history += static_cast<std::uint64_t>(rows);
      return rows;
    });
  }

  /// Beyond the bound in rows: everyone's oldest hour goes, until it holds.
  void trim_history_rows(const std::vector<Device>& devices) {
    const auto bound = static_cast<std::int64_t>(keep_.history_rows);
    while (going()) {
      std::optional<std::int64_t> oldest;
      step([&](sql::Connection& db) {
        if (writer_.history_rows() <= bound) return 0;
        for (const auto& d : devices) {
          db.rows(
              "SELECT min(minute) FROM history WHERE tenant_no=? AND device_no=?",
              [&](const sql::Row& row) {
                if (row.is_null(0)) return;
                oldest = std::min(oldest.value_or(row.integer(0)), row.integer(0));
              },
              d.tenant_no, d.device_no);
        }
        return 0;
      });
      if (!oldest) return;
      for (const auto& d : devices) {
        repeat(done_.history,
               [&](sql::Connection& db) { return delete_history(db, d, *oldest + 60); });
      }
    }
  }

  void trim_ledger(const Device& d) {
    std::vector<std::int64_t> epochs;
    step([&](sql::Connection& db) {
      db.rows(
          // A loose index scan: one seek for each epoch.
          "WITH RECURSIVE e(n) AS (SELECT min(epoch) FROM ledger WHERE tenant_no=?1 AND"
          " device_no=?2 UNION ALL SELECT (SELECT min(epoch) FROM ledger WHERE tenant_no=?1 AND"
          " device_no=?2 AND epoch > e.n) FROM e WHERE e.n IS NOT NULL)"
          " SELECT n FROM e WHERE n IS NOT NULL",
          [&](const sql::Row& row) { epochs.push_back(row.integer(0)); }, d.tenant_no, d.device_no);
      return 0;
    });
    for (const auto epoch : epochs) {
      repeat(done_.ledger, [&](sql::Connection& db) {
        std::int64_t first = 0;
        std::int64_t last = 0;
        db.rows(
            "SELECT (SELECT min(seq) FROM ledger WHERE tenant_no=?1 AND device_no=?2 AND epoch=?3),"
            " (SELECT max(seq) FROM ledger WHERE tenant_no=?1 AND device_no=?2 AND epoch=?3)",
            [&](const sql::Row& row) {
              first = row.integer(0);
              last = row.integer(1);
            },
            d.tenant_no, d.device_no, epoch);
        auto floor = last - static_cast<std::int64_t>(keep_.ledger_rows_per_device);
        if (epoch == d.epoch) floor = std::min(floor, d.watermark);
        floor = std::min(floor, first + kStepRows);
        return db.run(
            "DELETE FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=? AND seq <= ?",
            d.tenant_no, d.device_no, epoch, floor);
      });
    }
  }

  SqliteWriter& writer_;
};

}  // namespace

Result<Trimmed> trim_sqlite(SqliteWriter& writer, const Retention& keep, Time at) {
  return SqliteTrim(writer, keep, at).run();
}

}  // namespace lapwing::hub
