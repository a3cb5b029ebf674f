// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_reads.hpp"

#include "hub/store/cursor.hpp"
#include "hub/store/lists_text.hpp"
#include "hub/store/sqlite_schema.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace lapwing::hub::reads {
namespace {

constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

std::optional<Time> instant(const SqliteRow& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_micros(row.integer(column));
}

/// Cuts the row that was read too many, and makes the cursor of the last one that stays.
template <class T, class MakeCursor>
void close_page(Page<T>& page, std::size_t rows, MakeCursor&& cursor) {
  if (page.items.size() <= rows) return;
  page.items.resize(rows);
  page.next_cursor = cursor(page.items.back());
}

/// A cursor of one whole number; absent: `first`.
Result<std::int64_t> number_cursor(const PageRequest& page, std::int64_t first) {
  if (page.cursor.empty()) return first;
  const auto parts = read_cursor(page.cursor, 1);
  if (!parts) return parts.error();
  return cursor_number((*parts)[0]);
}

constexpr const char* kDeviceColumns =
    "SELECT d.device, d.online, d.quarantined, d.last_seen, d.agent_version, d.enrolled_at,"
    " d.certificate_expires, d.certificate_serial, d.revoked_at, d.epoch, d.watermark, d.stored,"
    " d.lost_quota, d.lost_corrupt, d.lost_vanished, d.lost_poison,"
    " max(0, d.epoch_produced - d.epoch_base - d.epoch_accounted), d.streams, d.anomalies_open,"
    " d.readings_total, d.outbox_records, d.outbox_bytes, d.quarantined_total FROM devices d ";

DeviceRow device_row(const SqliteRow& row, std::string_view tenant) {
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
  d.ledger.outstanding = row.count(16);
  d.ledger.produced = d.ledger.stored + d.ledger.lost.total() + d.ledger.outstanding;
  d.streams = row.count(17);
  d.anomalies_open = row.count(18);
  d.readings_total = row.count(19);
  d.outbox_records = row.count(20);
  d.outbox_bytes = row.count(21);
  d.quarantined_total = row.count(22);
  return d;
}

constexpr const char* kAnomalyColumns =
    "SELECT a.anomaly_no, d.device, a.id, a.phase, a.severity, a.reason, a.stream, a.watch,"
    " a.detector, a.onset, a.peak_time, a.end_us, a.peak_score, a.peak_value, a.expected, a.lower,"
    " a.upper, a.text, a.contributions, a.tags, a.received_at, a.updated_at";
constexpr int kAnomalyColumnCount = 22;

AnomalyRow anomaly_row(const SqliteRow& row) {
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
  return a;
}

HistoryPoint history_point(const SqliteRow& row) {
  return {from_micros(row.integer(2)),
          from_micros(row.integer(3)),
          row.count(4),
          row.number(5),
          row.number(6),
          row.number(7),
          row.number(8),
          row.number(9),
          {row.number(10), row.number(11), row.number(12)}};
}

/// Walks one stream's points through the minutes of its device; minutes without any are skipped.
class HistoryWalk {
 public:
  HistoryWalk(SqliteConnection& db, DeviceNumbers numbers, std::int64_t stream)
      : db_(db), numbers_(numbers), stream_(stream) {}

  void forward(std::int64_t from, std::int64_t to, std::size_t limit,
               std::vector<HistoryPoint>& out) {
    if (to <= from) return;
    auto minute = minute_of(from);
    while (!db_.failed() && out.size() < limit && minute <= minute_of(to - 1)) {
      std::optional<std::int64_t> next;
      db_.rows(
          "SELECT minute, stream_no FROM history WHERE tenant_no=? AND device_no=?"
          " AND (minute, stream_no) >= (?, ?) ORDER BY minute, stream_no LIMIT 1",
          [&](const SqliteRow& row) {
            const auto found = row.integer(0);
            const auto stream = row.integer(1);
            // Found another minute, this stream, or only later streams of this minute.
            next = found == minute && stream > stream_ ? found + 1 : found;
            here_ = found == minute && stream == stream_;
          },
          numbers_.tenant_no, numbers_.device_no, minute, stream_);
      if (!next) return;
      if (!here_) {
        minute = *next;
        continue;
      }
      db_.rows(
          "SELECT minute, stream_no, begin_us, end_us, readings, value_min, value_mean, value_max,"
          " score_mean, score_max, expected, lower, upper FROM history WHERE tenant_no=?"
          " AND device_no=? AND minute=? AND stream_no=? AND begin_us >= ? AND begin_us < ?"
          " ORDER BY begin_us LIMIT ?",
          [&](const SqliteRow& row) { out.push_back(history_point(row)); }, numbers_.tenant_no,
          numbers_.device_no, minute, stream_, from, to, limit - out.size());
      ++minute;
    }
  }

  /// Newest first.
  void backward(std::int64_t to, std::size_t limit, std::vector<HistoryPoint>& out) {
    auto minute = minute_of(to - 1);
    while (!db_.failed() && out.size() < limit) {
      std::optional<std::int64_t> next;
      db_.rows(
          "SELECT minute, stream_no FROM history WHERE tenant_no=? AND device_no=?"
          " AND (minute, stream_no) <= (?, ?) ORDER BY minute DESC, stream_no DESC LIMIT 1",
          [&](const SqliteRow& row) {
            const auto found = row.integer(0);
            const auto stream = row.integer(1);
            next = found == minute && stream < stream_ ? found - 1 : found;
            here_ = found == minute && stream == stream_;
          },
          numbers_.tenant_no, numbers_.device_no, minute, stream_);
      if (!next) return;
      if (!here_) {
        minute = *next;
        continue;
      }
      db_.rows(
          "SELECT minute, stream_no, begin_us, end_us, readings, value_min, value_mean, value_max,"
          " score_mean, score_max, expected, lower, upper FROM history WHERE tenant_no=?"
          " AND device_no=? AND minute=? AND stream_no=? AND begin_us < ?"
          " ORDER BY begin_us DESC LIMIT ?",
          [&](const SqliteRow& row) { out.push_back(history_point(row)); }, numbers_.tenant_no,
          numbers_.device_no, minute, stream_, to, limit - out.size());
      --minute;
    }
  }

 private:
  SqliteConnection& db_;
  DeviceNumbers numbers_;
  std::int64_t stream_;
  bool here_ = false;
};

}  // namespace

std::size_t page_rows(const PageRequest& page) {
  return std::clamp<std::size_t>(page.limit, 1, 1000);
}

std::optional<std::int64_t> tenant_number(SqliteConnection& db, std::string_view tenant) {
  std::optional<std::int64_t> number;
  db.rows(
      "SELECT tenant_no FROM tenants WHERE tenant = ?",
      [&](const SqliteRow& row) { number = row.integer(0); }, tenant);
  return number;
}

Result<DeviceNumbers> device_numbers(SqliteConnection& db, const DeviceKey& key) {
  std::optional<DeviceNumbers> numbers;
  db.rows(
      "SELECT tenant_no, device_no FROM devices"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND device = ?",
      [&](const SqliteRow& row) {
        numbers = DeviceNumbers{row.integer(0), row.integer(1)};
      },
      key.tenant, key.device);
  if (db.failed()) return db.failure();
  if (!numbers) return Error{Errc::not_found, "there is no device " + key.device};
  return *numbers;
}

Result<DeviceRow> device(SqliteConnection& db, const DeviceKey& key) {
  const auto sql = std::string(kDeviceColumns) +
                   "WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
                   " AND d.device = ?";
  std::optional<DeviceRow> found;
  db.rows(
      sql, [&](const SqliteRow& row) { found = device_row(row, key.tenant); }, key.tenant,
      key.device);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no device " + key.device};
  return *std::move(found);
}

Result<Page<DeviceRow>> devices(SqliteConnection& db, std::string_view tenant,
                                const PageRequest& page) {
  std::string after;
  if (!page.cursor.empty()) {
    auto parts = read_cursor(page.cursor, 1);
    if (!parts) return parts.error();
    after = std::move((*parts)[0]);
  }
  Page<DeviceRow> out;
  const auto rows = page_rows(page);
  db.rows(
      std::string(kDeviceColumns) +
          "WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
          " AND d.device > ? ORDER BY d.device LIMIT ?",
      [&](const SqliteRow& row) { out.items.push_back(device_row(row, tenant)); }, tenant, after,
      rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const DeviceRow& d) { return make_cursor({d.device}); });
  return out;
}

Result<Page<StreamRow>> streams(SqliteConnection& db, const DeviceKey& key,
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
      [&](const SqliteRow& row) {
        out.items.push_back({row.text(0),
                             row.text(1),
                             from_micros(row.integer(2)),
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

Result<std::vector<HistoryPoint>> history(SqliteConnection& db, const DeviceKey& key,
                                          const HistoryQuery& query) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::optional<std::int64_t> stream;
  db.rows(
      "SELECT stream_no FROM streams WHERE tenant_no=?1 AND device_no=?2 AND stream=?3"
      " AND (?4 = '' OR watch = ?4) ORDER BY last_time DESC LIMIT 1",
      [&](const SqliteRow& row) { stream = row.integer(0); }, numbers->tenant_no,
      numbers->device_no, query.stream, query.watch);
  if (db.failed()) return db.failure();
  if (!stream) {
    return Error{Errc::not_found, "device " + key.device + " has no stream " + query.stream};
  }
  const auto limit = std::clamp<std::size_t>(query.limit, 1, 10'000);
  const auto to = query.to ? to_micros(*query.to) : kLast;
  std::vector<HistoryPoint> points;
  HistoryWalk walk(db, *numbers, *stream);
  if (query.from) {
    walk.forward(to_micros(*query.from), to, limit, points);
  } else if (to > std::numeric_limits<std::int64_t>::min()) {
    walk.backward(to, limit, points);
    std::reverse(points.begin(), points.end());
  }
  if (db.failed()) return db.failure();
  return points;
}

Result<Page<AnomalyRow>> anomalies(SqliteConnection& db, std::string_view tenant,
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
  // Only fixed pieces: one prepared statement for each combination of filters.
  std::string sql = kAnomalyColumns;
  sql +=
      " FROM anomalies a JOIN devices d ON d.tenant_no=a.tenant_no AND d.device_no=a.device_no"
      " WHERE a.tenant_no=?1 AND (a.onset, a.anomaly_no) < (?2, ?3)";
  if (filter.from) sql += " AND a.onset >= ?4";
  if (filter.to) sql += " AND a.onset < ?5";
  if (filter.device) sql += " AND a.device_no = ?6";
  if (filter.stream) sql += " AND a.stream = ?7";
  if (filter.open) sql += *filter.open ? " AND a.phase < 3" : " AND a.phase = 3";
  if (filter.severity) sql += " AND a.severity = ?8";
  if (filter.reason) sql += " AND a.reason = ?9";
  // ?10 is the limit; naming it keeps every combination's parameter count the same.
  sql += " ORDER BY a.onset DESC, a.anomaly_no DESC LIMIT ?10";
  const auto rows = page_rows(page);
  std::int64_t last_number = 0;
  db.rows(
      sql,
      [&](const SqliteRow& row) {
        if (out.items.size() < rows) last_number = row.integer(0);
        out.items.push_back(anomaly_row(row));
      },
      *tenant_no, before_onset, before_number, filter.from ? to_micros(*filter.from) : 0,
      filter.to ? to_micros(*filter.to) : 0, device_no, filter.stream.value_or(""),
      filter.severity ? static_cast<int>(*filter.severity) : 0,
      filter.reason ? static_cast<int>(*filter.reason) : 0, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [&](const AnomalyRow& a) {
    return make_cursor({std::to_string(to_micros(a.record.onset)), std::to_string(last_number)});
  });
  return out;
}

Result<AnomalyRow> anomaly(SqliteConnection& db, const DeviceKey& key, std::uint64_t id) {
  const auto numbers = device_numbers(db, key);
  if (!numbers) return numbers.error();
  std::optional<AnomalyRow> found;
  db.rows(
      std::string(kAnomalyColumns) +
          " FROM anomalies a JOIN devices d ON d.tenant_no=a.tenant_no"
          " AND d.device_no=a.device_no"
          " WHERE a.tenant_no=? AND a.device_no=? AND a.id=?",
      [&](const SqliteRow& row) { found = anomaly_row(row); }, numbers->tenant_no,
      numbers->device_no, id);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "device " + key.device + " has no such anomaly"};
  return *std::move(found);
}

Result<std::vector<FeedRow>> feed(SqliteConnection& db, std::string_view tenant,
                                  const FeedQuery& query) {
  std::vector<FeedRow> out;
  const auto tenant_no = tenant_number(db, tenant);
  if (tenant_no && query.after < static_cast<std::uint64_t>(kLast)) {
    const auto limit = std::clamp<std::size_t>(query.limit, 1, 5000);
    db.rows(
        std::string(kAnomalyColumns) +
            ", f.seq, f.phase FROM feed f JOIN anomalies a ON a.anomaly_no=f.anomaly_no"
            " JOIN devices d ON d.tenant_no=a.tenant_no AND d.device_no=a.device_no"
            " WHERE f.tenant_no=?1 AND f.seq > ?2 AND (?3 IS NULL OR d.device = ?3)"
            " ORDER BY f.seq LIMIT ?4",
        [&](const SqliteRow& row) {
          out.push_back({row.count(kAnomalyColumnCount),
                         static_cast<wire::Phase>(row.integer(kAnomalyColumnCount + 1)),
                         anomaly_row(row)});
        },
        *tenant_no, query.after, query.device, limit);
  }
  if (db.failed()) return db.failure();
  return out;
}

Result<FeedBounds> feed_bounds(SqliteConnection& db, std::string_view tenant) {
  FeedBounds bounds;
  // Two scalar subqueries: SQLite turns each into one seek.
  db.rows(
      "SELECT (SELECT min(seq) FROM feed WHERE tenant_no = t.tenant_no),"
      " (SELECT max(seq) FROM feed WHERE tenant_no = t.tenant_no) FROM tenants t WHERE tenant = ?",
      [&](const SqliteRow& row) {
        bounds.oldest = row.count(0);
        bounds.newest = row.count(1);
      },
      tenant);
  if (db.failed()) return db.failure();
  return bounds;
}

Result<Page<DeadLetterRow>> dead_letters(SqliteConnection& db, std::string_view tenant,
                                         const PageRequest& page) {
  const auto before = number_cursor(page, kLast);
  if (!before) return before.error();
  Page<DeadLetterRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT number, device, epoch, seq, reason, bytes, received_at FROM dead_letters"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND number < ?"
      " ORDER BY number DESC LIMIT ?",
      [&](const SqliteRow& row) {
        out.items.push_back({row.count(0), row.text(1), row.count(2), row.count(3), row.text(4),
                             row.text(5), from_micros(row.integer(6))});
      },
      tenant, *before, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows,
             [](const DeadLetterRow& d) { return make_cursor({std::to_string(d.number)}); });
  return out;
}

namespace {

TokenRow token_row(const SqliteRow& row) {
  return {row.text(0),
          row.text(1),
          row.text(2),
          row.text(3),
          words_from(row.view(4)),
          from_micros(row.integer(5)),
          instant(row, 6),
          instant(row, 7)};
}

}  // namespace

Result<TokenRow> token_by_hash(SqliteConnection& db, std::string_view hash) {
  std::optional<TokenRow> found;
  db.rows(
      "SELECT n.tenant, t.id, t.name, t.hash, t.scopes, t.created_at, t.expires_at, t.revoked_at"
      " FROM tokens t JOIN tenants n ON n.tenant_no = t.tenant_no WHERE t.hash = ?",
      [&](const SqliteRow& row) { found = token_row(row); }, hash);
  if (db.failed()) return db.failure();
  if (!found) return Error{Errc::not_found, "there is no such token"};
  return *std::move(found);
}

Result<Page<TokenRow>> tokens(SqliteConnection& db, std::string_view tenant,
                              const PageRequest& page) {
  auto created = std::numeric_limits<std::int64_t>::min();
  std::string id;
  if (!page.cursor.empty()) {
    auto parts = read_cursor(page.cursor, 2);
    if (!parts) return parts.error();
    const auto number = cursor_number((*parts)[0]);
    if (!number) return number.error();
    created = *number;
    id = std::move((*parts)[1]);
  }
  Page<TokenRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT n.tenant, t.id, t.name, t.hash, t.scopes, t.created_at, t.expires_at, t.revoked_at"
      " FROM tokens t JOIN tenants n ON n.tenant_no = t.tenant_no"
      " WHERE n.tenant = ? AND (t.created_at, t.id) > (?, ?) ORDER BY t.created_at, t.id LIMIT ?",
      [&](const SqliteRow& row) { out.items.push_back(token_row(row)); }, tenant, created, id,
      rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const TokenRow& t) {
    return make_cursor({std::to_string(to_micros(t.created_at)), t.id});
  });
  return out;
}

Result<Page<AuditRow>> audit(SqliteConnection& db, std::string_view tenant,
                             const PageRequest& page) {
  const auto before = number_cursor(page, kLast);
  if (!before) return before.error();
  Page<AuditRow> out;
  const auto rows = page_rows(page);
  db.rows(
      "SELECT number, at, actor, action, subject, detail FROM audit"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND number < ?"
      " ORDER BY number DESC LIMIT ?",
      [&](const SqliteRow& row) {
        out.items.push_back({row.count(0), std::string(tenant), from_micros(row.integer(1)),
                             row.text(2), row.text(3), row.text(4), row.text(5)});
      },
      tenant, *before, rows + 1);
  if (db.failed()) return db.failure();
  close_page(out, rows, [](const AuditRow& a) { return make_cursor({std::to_string(a.number)}); });
  return out;
}

Result<StoreTotals> totals(SqliteConnection& db) {
  StoreTotals totals;
  db.rows(
      "SELECT count(*), coalesce(sum(online <> 0 AND quarantined = 0), 0),"
      " coalesce(sum(quarantined <> 0), 0), coalesce(sum(anomalies_open), 0) FROM devices",
      [&](const SqliteRow& row) {
        totals.devices = row.count(0);
        totals.devices_online = row.count(1);
        totals.devices_quarantined = row.count(2);
        totals.anomalies_open = row.count(3);
      });
  db.rows("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
          [&](const SqliteRow& row) { totals.bytes = row.count(0); });
  if (db.failed()) return db.failure();
  return totals;
}

}  // namespace lapwing::hub::reads
