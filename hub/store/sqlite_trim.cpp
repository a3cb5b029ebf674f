// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_trim.hpp"

#include "hub/store/sqlite_schema.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace lapwing::hub {
namespace {

constexpr std::int64_t kStepRows = 10'000;
constexpr std::uint64_t kPassRows = 300'000;
constexpr std::int64_t kLossRowsPerDevice = 10'000;
/// Points from further ahead than this come from a wrong clock and go as the old ones do.
constexpr std::int64_t kAheadMinutes = 366LL * 24 * 60;

class Trim {
 public:
  Trim(SqliteWriter& writer, const Retention& keep, Time at)
      : writer_(writer), keep_(keep), at_(at) {}

  Result<Trimmed> run() {
    std::vector<Numbers> devices;
    std::vector<std::int64_t> tenants;
    step([&](sqlite::Connection& db) {
      db.rows("SELECT tenant_no, device_no, epoch, watermark FROM devices",
              [&](const sqlite::Row& row) {
                devices.push_back({row.integer(0), row.integer(1), row.integer(2), row.integer(3)});
              });
      db.rows("SELECT tenant_no FROM tenants",
              [&](const sqlite::Row& row) { tenants.push_back(row.integer(0)); });
      return 0;
    });
    for (const auto& device : devices) {
      trim_history(device);
      trim_ledger(device);
      trim_losses(device);
    }
    trim_history_rows(devices);
    for (const auto tenant : tenants) {
      trim_anomalies(tenant);
      trim_feed(tenant);
      trim_dead_letters(tenant);
    }
    if (error_) return *error_;
    return done_;
  }

 private:
  struct Numbers {
    std::int64_t tenant_no;
    std::int64_t device_no;
    std::int64_t epoch;
    std::int64_t watermark;
  };

  /// One short transaction; the rows it says it removed.
  std::int64_t step(const std::function<std::int64_t(sqlite::Connection&)>& work) {
    if (error_) return 0;
    if (removed_ >= kPassRows) {
      done_.more = true;
      return 0;
    }
    const std::scoped_lock lock(writer_.mutex);
    auto& db = *writer_.connection;
    db.clear_failure();
    db.run("BEGIN IMMEDIATE");
    const auto rows = db.failed() ? 0 : work(db);
    db.run("COMMIT");
    if (db.failed()) {
      error_ = db.failure();
      db.clear_failure();
      db.run("ROLLBACK");
      db.clear_failure();
      writer_.forget();
      return 0;
    }
    removed_ += static_cast<std::uint64_t>(rows);
    return rows;
  }

  void repeat(std::uint64_t& total, const std::function<std::int64_t(sqlite::Connection&)>& work) {
    while (const auto rows = step(work)) total += static_cast<std::uint64_t>(rows);
  }

  std::int64_t delete_history(sqlite::Connection& db, const Numbers& d, std::int64_t before) {
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
    if (rows > 0) {
      writer_.history_rows = std::max<std::int64_t>(0, writer_.history_rows - rows);
      db.run(
          "INSERT INTO meta VALUES('history_rows', ?1)"
          " ON CONFLICT(key) DO UPDATE SET value=?1",
          writer_.history_rows);
    }
    return rows;
  }

  [[nodiscard]] std::int64_t minute() const { return minute_of(to_micros(at_)); }

  void trim_history(const Numbers& d) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(keep_.history).count();
    repeat(done_.history,
           [&](sqlite::Connection& db) { return delete_history(db, d, minute() - minutes); });
    step([&](sqlite::Connection& db) {
      const auto rows =
          db.run("DELETE FROM history WHERE tenant_no=? AND device_no=? AND minute > ?",
                 d.tenant_no, d.device_no, minute() + kAheadMinutes);
      writer_.history_rows = std::max<std::int64_t>(0, writer_.history_rows - rows);
      done_.history += static_cast<std::uint64_t>(rows);
      return rows;
    });
  }

  /// Beyond the bound in rows: everyone's oldest hour goes, until it holds.
  void trim_history_rows(const std::vector<Numbers>& devices) {
    const auto bound = static_cast<std::int64_t>(keep_.history_rows);
    while (!error_ && !done_.more) {
      std::optional<std::int64_t> oldest;
      step([&](sqlite::Connection& db) {
        if (writer_.history_rows <= bound) return 0;
        for (const auto& d : devices) {
          db.rows(
              "SELECT min(minute) FROM history WHERE tenant_no=? AND device_no=?",
              [&](const sqlite::Row& row) {
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
               [&](sqlite::Connection& db) { return delete_history(db, d, *oldest + 60); });
      }
    }
  }

  void trim_ledger(const Numbers& d) {
    std::vector<std::int64_t> epochs;
    step([&](sqlite::Connection& db) {
      db.rows(
          // A loose index scan: one seek for each epoch.
          "WITH RECURSIVE e(n) AS (SELECT min(epoch) FROM ledger WHERE tenant_no=?1 AND"
          " device_no=?2 UNION ALL SELECT (SELECT min(epoch) FROM ledger WHERE tenant_no=?1 AND"
          " device_no=?2 AND epoch > e.n) FROM e WHERE e.n IS NOT NULL)"
          " SELECT n FROM e WHERE n IS NOT NULL",
          [&](const sqlite::Row& row) { epochs.push_back(row.integer(0)); }, d.tenant_no,
          d.device_no);
      return 0;
    });
    for (const auto epoch : epochs) {
      repeat(done_.ledger, [&](sqlite::Connection& db) {
        std::int64_t first = 0;
        std::int64_t last = 0;
        db.rows(
            "SELECT (SELECT min(seq) FROM ledger WHERE tenant_no=?1 AND device_no=?2 AND epoch=?3),"
            " (SELECT max(seq) FROM ledger WHERE tenant_no=?1 AND device_no=?2 AND epoch=?3)",
            [&](const sqlite::Row& row) {
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

  /// Those above the watermark stay, of the current epoch: the account still needs them.
  void trim_losses(const Numbers& d) {
    step([&](sqlite::Connection& db) {
      const auto rows = db.run(
          "DELETE FROM losses WHERE tenant_no=?1 AND device_no=?2 AND (epoch < ?5 OR seq_last <= "
          "?3)"
          " AND (epoch, seq_first) <= (SELECT epoch, seq_first FROM losses WHERE tenant_no=?1 AND"
          " device_no=?2 ORDER BY epoch DESC, seq_first DESC LIMIT 1 OFFSET ?4)",
          d.tenant_no, d.device_no, d.watermark, kLossRowsPerDevice, d.epoch);
      done_.losses += static_cast<std::uint64_t>(rows);
      return rows;
    });
  }

  void trim_anomalies(std::int64_t tenant_no) {
    const auto before =
        to_micros(at_) - std::chrono::duration_cast<Micros>(keep_.anomalies).count();
    repeat(done_.anomalies, [&](sqlite::Connection& db) {
      return db.run(
          "DELETE FROM anomalies WHERE anomaly_no IN (SELECT anomaly_no FROM anomalies WHERE"
          " tenant_no=? AND phase = 3 AND updated_at < ? ORDER BY updated_at LIMIT 1000)",
          tenant_no, before);
    });
  }

  void trim_feed(std::int64_t tenant_no) {
    repeat(done_.feed, [&](sqlite::Connection& db) {
      const auto floor = writer_.feed_seq - static_cast<std::int64_t>(keep_.feed_rows);
      return db.run(
          "DELETE FROM feed WHERE tenant_no=?1 AND seq <= ?2 AND seq <="
          " (SELECT min(seq) FROM feed WHERE tenant_no=?1) + ?3",
          tenant_no, floor, kStepRows);
    });
  }

  void trim_dead_letters(std::int64_t tenant_no) {
    repeat(done_.dead_letters, [&](sqlite::Connection& db) {
      return db.run(
          "DELETE FROM dead_letters WHERE tenant_no=?1 AND number IN (SELECT number FROM"
          " dead_letters WHERE tenant_no=?1 ORDER BY number DESC LIMIT 1000 OFFSET ?2)",
          tenant_no, keep_.dead_letters_per_tenant);
    });
  }

  SqliteWriter& writer_;
  const Retention& keep_;
  Time at_;
  Trimmed done_;
  std::uint64_t removed_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<Trimmed> trim_sqlite(SqliteWriter& writer, const Retention& keep, Time at) {
  return Trim(writer, keep, at).run();
}

}  // namespace lapwing::hub
