// SPDX-License-Identifier: Apache-2.0
/// What this region tells others of its devices.
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/sql_exchange.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub::reads {
namespace {

std::size_t rows_of(const ExportRequest& request) {
  return std::clamp<std::size_t>(request.rows_max, 1, 1000);
}

/// One row of a device list as a page's row; the list is by name and starts anew at its end.
using DeviceRowOf = ExchangedRow (*)(const sql::Row& row);
Result<ExportPage> device_list(sql::Connection& db, std::string_view select,
                               std::string_view tenant, const ExportRequest& request,
                               DeviceRowOf read) {
  std::string after;
  if (!request.cursor.empty()) {
    auto parts = read_cursor(request.cursor, 1);
    if (!parts) return parts.error();
    after = std::move((*parts)[0]);
  }
  ExportPage page;
  const auto rows = rows_of(request);
  std::string last;
  db.rows(
      std::string(select).append(
          " WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
          " AND d.device > ? ORDER BY d.device LIMIT ?"),
      [&](const sql::Row& row) {
        if (page.rows.size() == rows) {
          page.more = true;
          return;
        }
        last = row.text(0);
        page.rows.push_back(read(row));
      },
      tenant, after, rows + 1);
  if (db.failed()) return db.failure();
  if (page.more) page.next = make_cursor({last});
  return page;
}

ExchangedRow device_row(const sql::Row& row) {
  return ExchangedDevice{row.text(0), from_micros(row.integer(1)), row.text(2), instant(row, 3),
                         instant(row, 4)};
}

constexpr std::string_view kLedgerColumns =
    ".online, x.quarantined, x.last_seen, x.agent_version, x.epoch, x.watermark, x.stored,"
    " x.lost_quota, x.lost_corrupt, x.lost_vanished, x.lost_poison, x.streams, x.readings_total,"
    " x.outbox_records, x.outbox_bytes, x.quarantined_total, x.elsewhere, ";

/// The columns above behind `x`, with the device's name before and what is outstanding after them.
ExchangedLedger ledger_row(const sql::Row& row) {
  ExchangedLedger l;
  l.device = row.text(0);
  l.status = row.integer(2) != 0   ? DeviceStatus::quarantined
             : row.integer(1) != 0 ? DeviceStatus::online
                                   : DeviceStatus::offline;
  l.last_seen = instant(row, 3);
  l.agent_version = row.text(4);
  l.epoch = row.count(5);
  l.watermark = row.count(6);
  l.ledger.stored = row.count(7);
  l.ledger.lost = {row.count(8), row.count(9), row.count(10), row.count(11)};
  l.streams = row.count(12);
  l.readings_total = row.count(13);
  l.outbox_records = row.count(14);
  l.outbox_bytes = row.count(15);
  l.quarantined_total = row.count(16);
  l.ledger.elsewhere = row.count(17);
  l.ledger.outstanding = static_cast<std::uint64_t>(std::max<std::int64_t>(0, row.integer(18)));
  l.ledger.produced = l.ledger.sum();
  return l;
}

ExchangedRow own_ledger_row(const sql::Row& row) { return ledger_row(row); }

}  // namespace

Result<ExportPage> export_devices(sql::Connection& db, std::string_view tenant,
                                  const ExportRequest& request) {
  return device_list(db,
                     "SELECT d.device, d.enrolled_at, d.certificate_serial, d.certificate_expires,"
                     " d.revoked_at FROM devices d",
                     tenant, request, device_row);
}

namespace {

/// Devices that were heard of here.
constexpr std::string_view kOwnLedgers =
    "x.epoch_produced - x.epoch_base - x.epoch_accounted FROM devices d JOIN devices x"
    " ON x.tenant_no = d.tenant_no AND x.device_no = d.device_no AND x.last_seen IS NOT NULL";

}  // namespace

Result<ExportPage> export_ledgers(sql::Connection& db, std::string_view tenant,
                                  const ExportRequest& request) {
  static const auto kSelect =
      std::string("SELECT x.device, x").append(kLedgerColumns).append(kOwnLedgers);
  return device_list(db, kSelect, tenant, request, own_ledger_row);
}

Result<std::vector<std::pair<std::string, ExchangedLedger>>> region_ledgers(sql::Connection& db,
                                                                            const DeviceKey& key) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::vector<std::pair<std::string, ExchangedLedger>> out;
  db.rows(
      std::string("SELECT x.device, x")
          .append(kLedgerColumns)
          .append(kOwnLedgers)
          .append(" WHERE d.tenant_no=? AND d.device_no=?"),
      [&](const sql::Row& row) { out.emplace_back("", ledger_row(row)); }, numbers->tenant_no,
      numbers->device_no);
  db.rows(
      std::string("SELECT '', x")
          .append(kLedgerColumns)
          .append("x.outstanding, p.peer FROM peer_devices x JOIN peers p USING(peer_no)"
                  " WHERE x.tenant_no=? AND x.device_no=? ORDER BY p.peer"),
      [&](const sql::Row& row) {
        out.emplace_back(row.text(19), ledger_row(row));
        out.back().second.device = key.device;
      },
      numbers->tenant_no, numbers->device_no);
  if (db.failed()) return db.failure();
  return out;
}

}  // namespace lapwing::hub::reads
