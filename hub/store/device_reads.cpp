// SPDX-License-Identifier: Apache-2.0
#include "hub/store/lists_text.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace lapwing::hub::reads {
namespace {

/// `r`: what another region told of the device, when it was heard of there last.
constexpr std::string_view kDeviceColumns =
    "SELECT d.device, coalesce(r.online, d.online), coalesce(r.quarantined, d.quarantined),"
    " coalesce(r.last_seen, d.last_seen), coalesce(r.agent_version, d.agent_version),"
    " d.enrolled_at, d.certificate_expires, d.certificate_serial, d.revoked_at,"
    " coalesce(r.epoch, d.epoch), coalesce(r.watermark, d.watermark),"
    " coalesce(r.stored, d.stored), coalesce(r.lost_quota, d.lost_quota),"
    " coalesce(r.lost_corrupt, d.lost_corrupt), coalesce(r.lost_vanished, d.lost_vanished),"
    " coalesce(r.lost_poison, d.lost_poison),"
    " coalesce(r.outstanding, d.epoch_produced - d.epoch_base - d.epoch_accounted),"
    " coalesce(r.streams, d.streams), d.anomalies_open,"
    " coalesce(r.readings_total, d.readings_total), coalesce(r.outbox_records, d.outbox_records),"
    " coalesce(r.outbox_bytes, d.outbox_bytes),"
    " coalesce(r.quarantined_total, d.quarantined_total), coalesce(r.elsewhere, d.elsewhere),"
    " CASE WHEN d.last_seen IS NULL OR r.peer_no IS NOT NULL"
    " THEN (SELECT p.peer FROM peers p WHERE p.peer_no = d.peer_no) END, d.labels"
    " FROM devices d LEFT JOIN peer_devices r ON r.tenant_no = d.tenant_no"
    " AND r.device_no = d.device_no AND r.peer_no = d.peer_no"
    " AND (d.last_seen IS NULL OR r.last_seen > d.last_seen) ";

DeviceRow device_row(const sql::Row& row, std::string_view tenant) {
  DeviceRow d;
  d.tenant = tenant;
  d.device = row.text(0);
  d.status = row.integer(2) != 0   ? DeviceStatus::quarantined
             : row.integer(1) != 0 ? DeviceStatus::online
                                   : DeviceStatus::offline;
  d.last_seen = instant(row, 3);
  d.agent_version = row.text(4);
  d.enrolled_at = from_micros(row.integer(5));
  d.certificate_expires = instant(row, 6);
  d.certificate_serial = row.text(7);
  d.revoked_at = instant(row, 8);
  d.epoch = row.count(9);
  d.watermark = row.count(10);
  d.ledger.stored = row.count(11);
  d.ledger.lost = {row.count(12), row.count(13), row.count(14), row.count(15)};
  d.ledger.outstanding = static_cast<std::uint64_t>(std::max<std::int64_t>(0, row.integer(16)));
  d.ledger.elsewhere = row.count(23);
  d.ledger.produced = d.ledger.sum();
  d.streams = row.count(17);
  d.anomalies_open = row.count(18);
  d.readings_total = row.count(19);
  d.outbox_records = row.count(20);
  d.outbox_bytes = row.count(21);
  d.quarantined_total = row.count(22);
  d.region = row.text(24);
  d.labels = labels_from(row.view(25));
  return d;
}

}  // namespace

std::size_t page_rows(const PageRequest& page) {
  return std::clamp<std::size_t>(page.limit, 1, 1000);
}

std::optional<std::int64_t> tenant_number(sql::Connection& db, std::string_view tenant) {
  std::optional<std::int64_t> number;
  db.rows(
      "SELECT tenant_no FROM tenants WHERE tenant = ?",
      [&](const sql::Row& row) { number = row.integer(0); }, tenant);
  return number;
}

Result<DeviceNumbers> device_numbers(sql::Connection& db, const DeviceKey& key) {
  std::optional<DeviceNumbers> numbers;
  db.rows(
      "SELECT tenant_no, device_no FROM devices"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND device = ?",
      [&](const sql::Row& row) {
        numbers = DeviceNumbers{row.integer(0), row.integer(1)};
      },
      key.tenant, key.device);
  if (db.failed()) return db.failure();
  if (!numbers) return Error{Errc::not_found, "there is no device " + key.device};
  return *numbers;
}

Result<DeviceRow> device(sql::Connection& db, const DeviceKey& key) {
  const auto sql = std::string(kDeviceColumns)
                       .append(
                           "WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
                           " AND d.device = ?");
  std::optional<DeviceRow> found;
  db.rows(
      sql, [&](const sql::Row& row) { found = device_row(row, key.tenant); }, key.tenant,
      key.device);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no device " + key.device};
  return *std::move(found);
}

Result<Page<DeviceRow>> devices(sql::Connection& db, std::string_view tenant,
                                const PageRequest& page, const DeviceFilter& filter) {
  std::string after;
  if (!page.cursor.empty()) {
    auto parts = read_cursor(page.cursor, 1);
    if (!parts) return parts.error();
    after = std::move((*parts)[0]);
  }
  Page<DeviceRow> out;
  const auto rows = page_rows(page);
  auto sql = std::string(kDeviceColumns)
                 .append(
                     "WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
                     " AND d.device > ?");
  std::vector<sql::Value> arguments{tenant, after};
  if (filter.region) {
    sql +=
        " AND coalesce(CASE WHEN d.last_seen IS NULL OR r.peer_no IS NOT NULL"
        " THEN (SELECT p.peer FROM peers p WHERE p.peer_no = d.peer_no) END, '') = ?";
    arguments.emplace_back(*filter.region);
  }
  // Between bars, as labels_text() writes them: no label is part of another.
  std::vector<std::string> wanted;
  for (const auto& label : filter.labels) wanted.push_back("|" + label + "|");
  for (const auto& label : wanted) {
    sql += " AND replace(d.labels, ?, '') <> d.labels";
    arguments.emplace_back(label);
  }
  sql += " ORDER BY d.device LIMIT ?";
  arguments.emplace_back(rows + 1);
  db.rows(
      sql, [&](const sql::Row& row) { out.items.push_back(device_row(row, tenant)); },
      std::span<const sql::Value>(arguments));
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const DeviceRow& d) { return make_cursor({d.device}); });
  return out;
}

Result<Page<StreamRow>> streams(sql::Connection& db, const DeviceKey& key,
                                const PageRequest& page) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::vector<std::string> after{"", ""};
  if (!page.cursor.empty()) {
    auto parts = read_cursor(page.cursor, 2);
    if (!parts) return parts.error();
    after = *std::move(parts);
  }
  Page<StreamRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT stream, watch, last_time, last_value, expected, lower, upper, last_score,"
      " anomalies_open, tags FROM streams WHERE tenant_no=? AND device_no=?"
      " AND (stream, watch) > (?, ?) ORDER BY stream, watch LIMIT ?",
      [&](const sql::Row& row) {
        out.items.push_back({row.text(0),
                             row.text(1),
                             instant(row, 2),
                             row.number(3),
                             {row.number(4), row.number(5), row.number(6)},
                             row.number(7),
                             row.count(8),
                             tags_from(row.view(9))});
      },
      numbers->tenant_no, numbers->device_no, after[0], after[1], rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const StreamRow& s) { return make_cursor({s.stream, s.watch}); });
  return out;
}

Result<StoreTotals> totals(sql::Connection& db) {
  StoreTotals totals;
  db.rows(
      // Sums of whole numbers are of a wider type in PostgreSQL.
      "SELECT count(*), count(*) FILTER (WHERE online <> 0 AND quarantined = 0),"
      " count(*) FILTER (WHERE quarantined <> 0), CAST(coalesce(sum(anomalies_open), 0) AS BIGINT),"
      " CAST(coalesce(sum(stored), 0) AS BIGINT), CAST(coalesce(sum(lost_quota), 0) AS BIGINT),"
      " CAST(coalesce(sum(lost_corrupt), 0) AS BIGINT),"
      " CAST(coalesce(sum(lost_vanished), 0) AS BIGINT),"
      " CAST(coalesce(sum(lost_poison), 0) AS BIGINT),"
      " CAST(coalesce(sum(epoch_produced - epoch_base - epoch_accounted)"
      " FILTER (WHERE epoch_produced - epoch_base > epoch_accounted), 0) AS BIGINT),"
      " CAST(coalesce(sum(elsewhere), 0) AS BIGINT) FROM devices",
      [&](const sql::Row& row) {
        totals.devices = row.count(0);
        totals.devices_online = row.count(1);
        totals.devices_quarantined = row.count(2);
        totals.anomalies_open = row.count(3);
        totals.ledger.stored = row.count(4);
        totals.ledger.lost = {row.count(5), row.count(6), row.count(7), row.count(8)};
        totals.ledger.outstanding = row.count(9);
        totals.ledger.elsewhere = row.count(10);
        totals.ledger.produced = totals.ledger.sum();
      });
  if (db.failed()) return db.failure();
  return totals;
}

}  // namespace lapwing::hub::reads
