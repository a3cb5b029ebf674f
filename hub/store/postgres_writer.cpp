// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres_writer.hpp"

#include <algorithm>
#include <limits>

namespace lapwing::hub {
namespace {

constexpr std::uint16_t kLedgerColumns = 8;
constexpr std::uint16_t kHistoryColumns = 16;
constexpr std::string_view kCopyLedger =
    "COPY ledger(received_at, tenant_no, device_no, epoch, seq_first, seq_last, classes, hashes)"
    " FROM STDIN (FORMAT binary)";
constexpr std::string_view kCopyHistory =
    "COPY history(received_at, tenant_no, device_no, minute, stream_no, begin_us, end_us, readings,"
    " value_min, value_mean, value_max, score_mean, score_max, expected, lower, upper)"
    " FROM STDIN (FORMAT binary)";
/// What is gathered for COPY is sent when it has grown to this.
constexpr std::size_t kCopyBytesMax = 4U << 20U;
/// A run that grows beyond this is written; bounds one row.
constexpr std::uint64_t kRunMax = 4096;

void append_number(std::string& to, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    to += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xffU);
  }
}

std::uint64_t number_at(std::string_view bytes, std::uint64_t index) {
  std::uint64_t value = 0;
  for (const char byte : bytes.substr(index * 8, 8)) {
    value = value << 8U | static_cast<unsigned char>(byte);
  }
  return value;
}

std::int32_t narrow(std::int64_t number) { return static_cast<std::int32_t>(number); }

}  // namespace

PostgresWriter::PostgresWriter(std::unique_ptr<postgres::Connection> connection,
                               Partitions& partitions)
    : Writer(std::move(connection)),
      partitions_(partitions),
      ledger_(kLedgerColumns),
      history_(kHistoryColumns) {}

void PostgresWriter::forget() {
  Writer::forget();
  keys_.clear();
  last_keys_ = nullptr;
  ledger_.clear();
  history_.clear();
}

void PostgresWriter::make_room(Time received_at) {
  const auto day = day_of(received_at);
  if (day == room_day_) return;
  if (auto made = partitions_.ensure(day); !made) return db().fail(std::move(made).error());
  room_day_ = day;
}

/// Records come device by device: seldom is it another than the last.
PostgresWriter::DeviceKeys& PostgresWriter::keys_of(const reads::DeviceNumbers& device) {
  const std::pair numbers(device.tenant_no, device.device_no);
  if (last_keys_ == nullptr || last_keys_->first != numbers) {
    last_keys_ = &*keys_.try_emplace(numbers).first;
  }
  return last_keys_->second;
}

bool PostgresWriter::add_key(const RecordKey& key, int record_class, std::uint64_t hash,
                             bool newest, Time received_at) {
  if (!newest && is_there(key)) return false;
  auto& keys = keys_of(key.device);
  auto& run = keys.run;
  const bool follows = !run.classes.empty() && run.epoch == key.epoch && key.seq == run.last + 1 &&
                       run.last - run.first < kRunMax && run.received_at == to_micros(received_at);
  if (!follows) {
    close_run(key.device, keys);
    run.received_at = to_micros(received_at);
    run.epoch = key.epoch;
    run.first = key.seq;
  }
  run.last = key.seq;
  run.classes += static_cast<char>(record_class);
  append_number(run.hashes, hash);
  return true;
}

void PostgresWriter::close_run(const reads::DeviceNumbers& device, DeviceKeys& keys) {
  auto& run = keys.run;
  if (run.classes.empty()) return;
  keys.closed.push_back({run.epoch, run.first, run.last});
  make_room(from_micros(run.received_at));
  ledger_.begin_row();
  ledger_.bigint(run.received_at);
  ledger_.integer(narrow(device.tenant_no));
  ledger_.integer(narrow(device.device_no));
  ledger_.bigint(static_cast<std::int64_t>(run.epoch));
  ledger_.bigint(static_cast<std::int64_t>(run.first));
  ledger_.bigint(static_cast<std::int64_t>(run.last));
  ledger_.bytes(run.classes);
  ledger_.bytes(run.hashes);
  run.classes.clear();
  run.hashes.clear();
  if (ledger_.size_bytes() >= kCopyBytesMax) copy_ledger();
}

void PostgresWriter::copy_ledger() {
  if (ledger_.rows() > 0) postgres().copy(kCopyLedger, ledger_.finish());
  ledger_.clear();
}

void PostgresWriter::copy_history() {
  if (history_.rows() > 0) postgres().copy(kCopyHistory, history_.finish());
  history_.clear();
}

/// So that statements see them.
void PostgresWriter::write_keys() {
  for (auto& [numbers, keys] : keys_) {
    close_run({numbers.first, numbers.second}, keys);
  }
  copy_ledger();
}

/// One question answers for all numbers up to the next run's edge, but for what this transaction
/// itself took since: live copies go ahead of the batches that bring the same records.
bool PostgresWriter::is_there(const RecordKey& key) {
  auto& keys = keys_of(key.device);
  const auto& run = keys.run;
  const auto has = [&](const Stretch& one) { return one.has(key); };
  if (!run.classes.empty() && has({run.epoch, run.first, run.last})) return true;
  if (std::ranges::any_of(keys.closed, has)) return true;
  if (has(keys.asked)) return keys.asked_there;
  keys.asked = {key.epoch, key.seq, std::numeric_limits<std::int64_t>::max()};
  keys.asked_there = false;
  db().rows(
      "SELECT seq_first, seq_last FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_last >= ? ORDER BY seq_last LIMIT 1",
      [&](const sql::Row& row) {
        keys.asked_there = row.count(0) <= key.seq;
        keys.asked.last = keys.asked_there ? row.count(1) : row.count(0) - 1;
      },
      key.device.tenant_no, key.device.device_no, key.epoch, key.seq);
  return keys.asked_there;
}

std::uint64_t PostgresWriter::keys_through(const RecordKey& key, std::uint64_t last) {
  write_keys();
  std::uint64_t keys = 0;
  db().rows(
      "SELECT seq_first, seq_last FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_last >= ? AND seq_first <= ?",
      [&](const sql::Row& row) {
        keys += std::min(row.count(1), last) - std::max(row.count(0), key.seq) + 1;
      },
      key.device.tenant_no, key.device.device_no, key.epoch, key.seq, last);
  return keys;
}

std::optional<std::uint64_t> PostgresWriter::key_hash(const RecordKey& key) {
  write_keys();
  std::optional<std::uint64_t> hash;
  db().rows(
      "SELECT seq_first, hashes FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_last >= ? ORDER BY seq_last LIMIT 1",
      [&](const sql::Row& row) {
        if (row.count(0) <= key.seq) hash = number_at(row.view(1), key.seq - row.count(0));
      },
      key.device.tenant_no, key.device.device_no, key.epoch, key.seq);
  return hash;
}

void PostgresWriter::add_point(const reads::DeviceNumbers& device, std::int64_t stream_no,
                               const wire::SummaryRecord& s, Time received_at) {
  make_room(received_at);
  history_.begin_row();
  history_.bigint(to_micros(received_at));
  history_.integer(narrow(device.tenant_no));
  history_.integer(narrow(device.device_no));
  history_.bigint(reads::minute_of(to_micros(s.begin)));
  history_.integer(narrow(stream_no));
  history_.bigint(to_micros(s.begin));
  history_.bigint(to_micros(s.end));
  history_.bigint(static_cast<std::int64_t>(s.readings));
  for (const double value : {s.value_min, s.value_mean, s.value_max, s.score_mean, s.score_max,
                             s.band.expected, s.band.lower, s.band.upper}) {
    history_.number(value);
  }
  if (history_.size_bytes() >= kCopyBytesMax) copy_history();
}

std::int64_t PostgresWriter::next_dead_letter() {
  std::int64_t number = 0;
  db().rows("SELECT nextval('dead_letter_number')",
            [&](const sql::Row& row) { number = row.integer(0); });
  return number;
}

void PostgresWriter::flush() {
  write_keys();
  copy_history();
  keys_.clear();
  last_keys_ = nullptr;
}

std::int64_t PostgresWriter::number_feed(sql::Connection& change, std::int64_t count) {
  std::int64_t newest = 0;
  change.rows(
      "UPDATE meta SET value = value + ? WHERE key = 'feed_seq' RETURNING value",
      [&](const sql::Row& row) { newest = row.integer(0); }, count);
  change.post("NOTIFY lapwing_feed");
  return newest - count + 1;
}

}  // namespace lapwing::hub
