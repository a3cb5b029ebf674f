// SPDX-License-Identifier: Apache-2.0
/// Anomalies and their live feed.
#include "hub/store/anomaly_rows.hpp"
#include "hub/store/lists_text.hpp"
#include "hub/store/pages.hpp"
#include "hub/store/reads.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace lapwing::hub::reads {
AnomalyRow anomaly_row(const sql::Row& row) {
  AnomalyRow a;
  a.device = row.text(1);
  auto& r = a.record;
  r.id = row.count(2);
  r.phase = static_cast<wire::Phase>(row.integer(3));
  r.severity = static_cast<wire::Severity>(row.integer(4));
  r.reason = static_cast<wire::Reason>(row.integer(5));
  r.stream = row.text(6);
  r.watch = row.text(7);
  r.detector = row.text(8);
  r.onset = from_micros(row.integer(9));
  r.peak_time = from_micros(row.integer(10));
  r.end = instant(row, 11);
  r.peak_score = row.number(12);
  r.peak_value = row.number(13);
  r.band = {row.number(14), row.number(15), row.number(16)};
  r.text = row.text(17);
  r.contributions = contributions_from(row.view(18));
  r.tags = tags_from(row.view(19));
  a.received_at = from_micros(row.integer(20));
  a.updated_at = from_micros(row.integer(21));
  a.region = row.text(22);
  return a;
}

Result<Page<AnomalyRow>> anomalies(sql::Connection& db, std::string_view tenant,
                                   const AnomalyFilter& filter, const PageRequest& page) {
  Page<AnomalyRow> out;
  const auto tenant_no = tenant_number(db, tenant);
  auto before_onset = kLast;
  auto before_number = kLast;
  if (!page.cursor.empty()) {
    const auto parts = read_cursor(page.cursor, 2);
    if (!parts) return parts.error();
    const auto onset = cursor_number((*parts)[0]);
    const auto number = cursor_number((*parts)[1]);
    if (!onset) return onset.error();
    if (!number) return number.error();
    before_onset = *onset;
    before_number = *number;
  }
  if (!tenant_no) {
    if (db.failed()) return db.failure();
    return out;
  }
  std::int64_t device_no = 0;
  if (filter.device) {
    const auto numbers = device_numbers(db, {std::string(tenant), *filter.device});
    if (db.failed()) return db.failure();
    if (!numbers) return out;
    device_no = numbers->device_no;
  }
  // One bound above, not two: an index is read from the first it was given, though the other lies
  // far below.
  if (filter.to && to_micros(*filter.to) <= before_onset) {
    before_onset = to_micros(*filter.to);
    before_number = 0;
  }
  // Only fixed pieces: one prepared statement for each combination of filters.
  auto sql = std::string(kAnomalyColumns).append(kAnomalyTables);
  sql += " WHERE a.tenant_no=? AND (a.onset, a.anomaly_no) < (?, ?)";
  std::vector<sql::Value> arguments{*tenant_no, before_onset, before_number};
  const auto where = [&](std::string_view condition, sql::Value argument) {
    sql += condition;
    arguments.push_back(argument);
  };
  if (filter.from) where(" AND a.onset >= ?", to_micros(*filter.from));
  if (filter.device) where(" AND a.device_no = ?", device_no);
  if (filter.stream) where(" AND a.stream = ?", *filter.stream);
  if (filter.open) sql += *filter.open ? " AND a.phase < 3" : " AND a.phase = 3";
  if (filter.severity) where(" AND a.severity = ?", static_cast<int>(*filter.severity));
  if (filter.reason) where(" AND a.reason = ?", static_cast<int>(*filter.reason));
  if (filter.region && filter.region->empty()) sql += " AND a.peer_no = 0";
  if (filter.region && !filter.region->empty()) {
    // The first condition names an index.
    where(" AND a.peer_no <> 0 AND a.peer_no = (SELECT peer_no FROM peers WHERE peer = ?)",
          *filter.region);
  }
  const auto rows = page_rows(page);
  where(" ORDER BY a.onset DESC, a.anomaly_no DESC LIMIT ?", rows + 1);
  std::int64_t last_number = 0;
  db.rows(
      sql,
      [&](const sql::Row& row) {
        if (out.items.size() < rows) last_number = row.integer(0);
        out.items.push_back(anomaly_row(row));
      },
      std::span<const sql::Value>(arguments));
  if (db.failed()) return db.failure();
  close_page(out, rows, [&](const AnomalyRow& a) {
    return make_cursor({std::to_string(to_micros(a.record.onset)), std::to_string(last_number)});
  });
  return out;
}

Result<AnomalyRow> anomaly(sql::Connection& db, const DeviceKey& key, std::uint64_t id) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::optional<AnomalyRow> found;
  db.rows(
      std::string(kAnomalyColumns)
          .append(kAnomalyTables)
          .append(" WHERE a.tenant_no=? AND a.device_no=? AND a.id=?"),
      [&](const sql::Row& row) { found = anomaly_row(row); }, numbers->tenant_no,
      numbers->device_no, id);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "device " + key.device + " has no such anomaly"};
  return *std::move(found);
}

Result<std::vector<FeedRow>> feed(sql::Connection& db, std::string_view tenant,
                                  const FeedQuery& query) {
  std::vector<FeedRow> out;
  const auto tenant_no = tenant_number(db, tenant);
  if (tenant_no && query.after < static_cast<std::uint64_t>(kLast)) {
    const auto limit = std::clamp<std::size_t>(query.limit, 1, 5000);
    auto sql = std::string(kAnomalyColumns) +
               ", f.seq, f.phase FROM feed f JOIN anomalies a ON a.anomaly_no=f.anomaly_no"
               " JOIN devices d ON d.tenant_no=a.tenant_no AND d.device_no=a.device_no"
               " WHERE f.tenant_no=? AND f.seq > ?";
    std::vector<sql::Value> arguments{*tenant_no, query.after};
    if (query.device) {
      const auto numbers = device_numbers(db, {std::string(tenant), *query.device});
      if (db.failed()) return db.failure();
      if (!numbers) return out;
      // Followers are near the feed's end: it is to be walked, not joined with all that the device
      // ever had, for which there would be an index.
      sql += " AND a.device_no + 0 = ?";
      arguments.emplace_back(numbers->device_no);
    }
    sql += " ORDER BY f.seq LIMIT ?";
    arguments.emplace_back(limit);
    db.rows(
        sql,
        [&](const sql::Row& row) {
          out.push_back({row.count(kAnomalyColumnCount),
                         static_cast<wire::Phase>(row.integer(kAnomalyColumnCount + 1)),
                         anomaly_row(row)});
        },
        std::span<const sql::Value>(arguments));
  }
  if (db.failed()) return db.failure();
  return out;
}

Result<FeedBounds> feed_bounds(sql::Connection& db, std::string_view tenant) {
  FeedBounds bounds;
  // Two scalar subqueries: SQLite turns each into one seek.
  db.rows(
      "SELECT (SELECT min(seq) FROM feed WHERE tenant_no = t.tenant_no),"
      " (SELECT max(seq) FROM feed WHERE tenant_no = t.tenant_no) FROM tenants t WHERE tenant = ?",
      [&](const sql::Row& row) {
        bounds.oldest = row.count(0);
        bounds.newest = row.count(1);
      },
      tenant);
  if (db.failed()) return db.failure();
  return bounds;
}

}  // namespace lapwing::hub::reads
