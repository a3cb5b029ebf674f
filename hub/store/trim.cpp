// SPDX-License-Identifier: Apache-2.0
#include "hub/store/trim.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::int64_t kFeedStepRows = 10'000;
constexpr std::uint64_t kPassRows = 300'000;
constexpr std::int64_t kLossRowsPerDevice = 10'000;

}  // namespace

Result<Trimmed> TrimPass::run() {
  std::vector<Device> devices;
  std::vector<std::int64_t> tenants;
  step([&](sql::Connection& db) {
    db.rows("SELECT tenant_no, device_no, epoch, watermark FROM devices", [&](const sql::Row& row) {
      devices.push_back({row.integer(0), row.integer(1), row.integer(2), row.integer(3)});
    });
    db.rows("SELECT tenant_no FROM tenants",
            [&](const sql::Row& row) { tenants.push_back(row.integer(0)); });
    return 0;
  });
  trim_records(devices);
  for (const auto& device : devices) trim_losses(device);
  for (const auto tenant : tenants) {
    trim_anomalies(tenant);
    trim_feed(tenant);
    trim_dead_letters(tenant);
  }
  if (error_) return *error_;
  return done_;
}

std::int64_t TrimPass::step(const Work& work) {
  if (error_) return 0;
  if (removed_ >= kPassRows) {
    done_.more = true;
    return 0;
  }
  const std::scoped_lock lock(mutex_);
  std::int64_t rows = 0;
  auto done = db_.transaction(sql::Connection::Access::write, [&] { rows = work(db_); });
  if (!done) {
    error_ = std::move(done).error();
    undone();
    return 0;
  }
  removed_ += static_cast<std::uint64_t>(rows);
  return rows;
}

void TrimPass::repeat(std::uint64_t& total, const Work& work) {
  while (const auto rows = step(work)) total += static_cast<std::uint64_t>(rows);
}

/// Those above the watermark stay, of the current epoch: the account still needs them.
void TrimPass::trim_losses(const Device& d) {
  step([&](sql::Connection& db) {
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

void TrimPass::trim_anomalies(std::int64_t tenant_no) {
  const auto before = to_micros(at_) - std::chrono::duration_cast<Micros>(keep_.anomalies).count();
  repeat(done_.anomalies, [&](sql::Connection& db) {
    return db.run(
        "DELETE FROM anomalies WHERE anomaly_no IN (SELECT anomaly_no FROM anomalies WHERE"
        " tenant_no=? AND phase = 3 AND updated_at < ? ORDER BY updated_at LIMIT 1000)",
        tenant_no, before);
  });
}

void TrimPass::trim_feed(std::int64_t tenant_no) {
  repeat(done_.feed, [&](sql::Connection& db) {
    std::int64_t floor = 0;
    db.rows("SELECT value FROM meta WHERE key = 'feed_seq'",
            [&](const sql::Row& row) { floor = row.integer(0); });
    floor -= static_cast<std::int64_t>(keep_.feed_rows);
    const auto rows = db.run(
        "DELETE FROM feed WHERE tenant_no=?1 AND seq <= ?2 AND seq <="
        " (SELECT min(seq) FROM feed WHERE tenant_no=?1) + ?3",
        tenant_no, floor, kFeedStepRows);
    if (rows > 0) {  // readers below it may have missed some
      db.run(
          "INSERT INTO meta VALUES('feed_floor', ?1) ON CONFLICT(key) DO UPDATE SET value=?1"
          " WHERE meta.value < ?1",
          floor);
    }
    return rows;
  });
}

void TrimPass::trim_dead_letters(std::int64_t tenant_no) {
  repeat(done_.dead_letters, [&](sql::Connection& db) {
    return db.run(
        "DELETE FROM dead_letters WHERE tenant_no=?1 AND number IN (SELECT number FROM"
        " dead_letters WHERE tenant_no=?1 ORDER BY number DESC LIMIT 1000 OFFSET ?2)",
        tenant_no, keep_.dead_letters_per_tenant);
  });
}

}  // namespace lapwing::hub
