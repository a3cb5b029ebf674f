// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_writer.hpp"

#include <algorithm>
#include <utility>

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

std::int64_t SqliteWriter::take_feed_seqs(std::int64_t count) {
  return std::exchange(feed_seq_, feed_seq_ + count) + 1;
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
