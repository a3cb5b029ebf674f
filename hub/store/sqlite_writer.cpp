// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_writer.hpp"

#include "hub/store/lists_text.hpp"

#include <algorithm>

namespace lapwing::hub {

SqliteWriter::SqliteWriter(std::unique_ptr<sql::Connection> connection)
    : Writer(std::move(connection)) {
  forget();
}

void SqliteWriter::forget() {
  Writer::forget();
  feed_seq_ = 0;
  history_rows_ = 0;
  dead_letter_number_ = 0;
  db().rows("SELECT key, value FROM meta", [this](const sql::Row& row) {
    if (row.view(0) == "feed_seq") feed_seq_ = row.integer(1);
    if (row.view(0) == "history_rows") history_rows_ = row.integer(1);
    if (row.view(0) == "dead_letter_number") dead_letter_number_ = row.integer(1);
  });
}

bool SqliteWriter::add_key(const RecordKey& key, int record_class, std::uint64_t hash, bool, Time) {
  return db().run(
             "INSERT INTO ledger(tenant_no, device_no, epoch, seq, class, hash)"
             " VALUES(?,?,?,?,?,?) ON CONFLICT DO NOTHING",
             key.device.tenant_no, key.device.device_no, key.epoch, key.seq, record_class,
             hash) > 0;
}

std::uint64_t SqliteWriter::keys_through(const RecordKey& key, std::uint64_t last) {
  std::uint64_t keys = 0;
  db().rows(
      "SELECT count(*) FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq BETWEEN ? AND ?",
      [&](const sql::Row& row) { keys = row.count(0); }, key.device.tenant_no, key.device.device_no,
      key.epoch, key.seq, last);
  return keys;
}

std::optional<std::uint64_t> SqliteWriter::key_hash(const RecordKey& key) {
  std::optional<std::uint64_t> hash;
  db().rows(
      "SELECT hash FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=? AND seq=?",
      [&](const sql::Row& row) { hash = row.count(0); }, key.device.tenant_no, key.device.device_no,
      key.epoch, key.seq);
  return hash;
}

void SqliteWriter::add_point(const reads::DeviceNumbers& device, std::int64_t stream_no,
                             const wire::SummaryRecord& s, Time) {
  history_rows_ +=
      db().run("INSERT INTO history VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
               device.tenant_no, device.device_no, reads::minute_of(to_micros(s.begin)), stream_no,
               to_micros(s.begin), to_micros(s.end), s.readings, s.value_min, s.value_mean,
               s.value_max, s.score_mean, s.score_max, s.band.expected, s.band.lower, s.band.upper);
}

void SqliteWriter::find_anomalies(std::span<const AnomalyKey> keys,
                                  std::vector<std::optional<KnownAnomaly>>& found) {
  for (const auto& key : keys) {
    auto& one = found.emplace_back();
    db().rows(
        "SELECT anomaly_no, phase, epoch, seq FROM anomalies"
        " WHERE tenant_no=? AND device_no=? AND id=?",
        [&](const sql::Row& row) {
          one = KnownAnomaly{row.integer(0), static_cast<int>(row.integer(1)), row.count(2),
                             row.count(3)};
        },
        key.device.tenant_no, key.device.device_no, key.id);
  }
}

void SqliteWriter::write_anomalies(std::span<AnomalyChange> changes) {
  for (auto& change : changes) {
    const auto& a = *change.record;
    std::optional<std::int64_t> end;
    if (a.end) end = to_micros(*a.end);
    const auto tags = tags_text(a.tags);
    const auto contributions = contributions_text(a.contributions);
    if (change.anomaly_no != 0) {
      db().run(
          "UPDATE anomalies SET phase=?, epoch=?, seq=?, severity=?, reason=?, stream=?, watch=?,"
          " detector=?, onset=?, peak_time=?, end_us=?, peak_score=?, peak_value=?, expected=?,"
          " lower=?, upper=?, text=?, contributions=?, tags=?, updated_at=?, peer_no=0"
          " WHERE anomaly_no=?",
          static_cast<int>(a.phase), change.epoch, change.seq, static_cast<int>(a.severity),
          static_cast<int>(a.reason), a.stream, a.watch, a.detector, to_micros(a.onset),
          to_micros(a.peak_time), end, a.peak_score, a.peak_value, a.band.expected, a.band.lower,
          a.band.upper, a.text, contributions, tags, change.updated_us, change.anomaly_no);
      continue;
    }
    db().rows(
        "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason,"
        " stream, watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected,"
        " lower, upper, text, contributions, tags, received_at, updated_at)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING anomaly_no",
        [&](const sql::Row& row) { change.anomaly_no = row.integer(0); }, change.device.tenant_no,
        change.device.device_no, a.id, static_cast<int>(a.phase), change.epoch, change.seq,
        static_cast<int>(a.severity), static_cast<int>(a.reason), a.stream, a.watch, a.detector,
        to_micros(a.onset), to_micros(a.peak_time), end, a.peak_score, a.peak_value,
        a.band.expected, a.band.lower, a.band.upper, a.text, contributions, tags,
        change.received_us, change.updated_us);
  }
}

void SqliteWriter::write_streams(std::span<const StreamChange> changes) {
  for (const auto& c : changes) {
    if (c.seen) {
      db().run(
          "UPDATE streams SET last_time=?1, last_value=?2, expected=?3, lower=?4, upper=?5,"
          " last_score=?6 WHERE tenant_no=?7 AND device_no=?8 AND stream_no=?9"
          " AND (?10 OR coalesce(last_time, ?1) <= ?1)",
          c.last_time, c.last_value, c.band.expected, c.band.lower, c.band.upper, c.last_score,
          c.device.tenant_no, c.device.device_no, c.stream_no, c.newest);
    }
    if (c.open_change != 0) {
      db().run(
          "UPDATE streams SET anomalies_open = anomalies_open + ?"
          " WHERE tenant_no=? AND device_no=? AND stream_no=?",
          c.open_change, c.device.tenant_no, c.device.device_no, c.stream_no);
    }
  }
}

void SqliteWriter::write_feed(std::span<const FeedStep> steps) {
  for (const auto& step : steps) {
    db().run("INSERT INTO feed VALUES(?,?,?,?)", step.tenant_no, ++feed_seq_, step.anomaly_no,
             step.phase);
  }
}

/// The one connection that changes. Where the change is rolled back the numbers are a hole.
std::int64_t SqliteWriter::number_feed(sql::Connection&, std::int64_t count) {
  feed_seq_ += count;
  remember("feed_seq", feed_seq_);
  return feed_seq_ - count + 1;
}

void SqliteWriter::remember(std::string_view key, std::int64_t value) {
  db().run("INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=?2", key, value);
}

void SqliteWriter::remember() {
  remember("feed_seq", feed_seq_);
  remember("history_rows", history_rows_);
  remember("dead_letter_number", dead_letter_number_);
}

void SqliteWriter::history_shrank(std::int64_t rows) {
  if (rows == 0) return;
  history_rows_ = std::max<std::int64_t>(0, history_rows_ - rows);
  remember("history_rows", history_rows_);
}

}  // namespace lapwing::hub
