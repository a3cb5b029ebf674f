// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/database.hpp"
#include "shared/wire/codec.hpp"

#include <boost/crc.hpp>

#include <algorithm>

namespace lapwing::agent {
namespace {

wire::RecordEntry loss_entry(const LossRange& range) {
  return {range.seq_first, range.seq_last, wire::RecordClass::loss,
          wire::encode_record(wire::LossRecord{range.reason, range.seq_first, range.seq_last})};
}

/// Appends the range, one with the entry before it where both are losses for one reason.
class LossWriter {
 public:
  explicit LossWriter(std::vector<wire::RecordEntry>& entries) : entries_(entries) {}

  void add(const LossRange& range) {
    if (open_ && last_.reason == range.reason && last_.seq_last + 1 == range.seq_first) {
      last_.seq_last = range.seq_last;
      entries_.back() = loss_entry(last_);
      return;
    }
    entries_.push_back(loss_entry(range));
    last_ = range;
    open_ = true;
  }
  void close() { open_ = false; }

 private:
  std::vector<wire::RecordEntry>& entries_;
  LossRange last_;
  bool open_ = false;
};

/// Several queries that see the database at one instant.
class ReadTransaction {
 public:
  explicit ReadTransaction(sqlite::Connection& db) : db_(db) {
    db_.clear_failure();
    db_.run("BEGIN");
  }
  ~ReadTransaction() {
    db_.clear_failure();
    db_.run("ROLLBACK");
    db_.clear_failure();
  }
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

 private:
  sqlite::Connection& db_;
};

}  // namespace

std::uint32_t row_checksum(std::uint64_t seq, wire::RecordClass record_class, std::int64_t time_us,
                           std::string_view payload) {
  char head[17];
  for (int i = 0; i < 8; ++i) {
    head[i] = static_cast<char>(seq >> (8 * i));
    head[8 + i] = static_cast<char>(static_cast<std::uint64_t>(time_us) >> (8 * i));
  }
  head[16] = static_cast<char>(record_class);
  boost::crc_32_type crc;
  crc.process_bytes(head, sizeof head);
  crc.process_bytes(payload.data(), payload.size());
  return crc.checksum();
}

Result<std::unique_ptr<OutboxReader>> OutboxReader::open(const std::filesystem::path& folder) {
  auto db =
      sqlite::Connection::open(folder / "outbox.db", {.read_only = true, .cache_bytes = 1U << 20U});
  if (!db) return std::move(db).error();
  return std::unique_ptr<OutboxReader>(new OutboxReader(std::move(*db)));
}

Result<std::vector<wire::RecordEntry>> OutboxReader::read(std::uint64_t from_seq,
                                                          std::uint64_t before_seq,
                                                          std::uint32_t records_max,
                                                          std::uint64_t bytes_max) {
  std::vector<wire::RecordEntry> entries;
  if (from_seq >= before_seq) return entries;
  const ReadTransaction as_of_now(*db_);  // the writer may drop and forget meanwhile
  auto holes = losses(from_seq, before_seq, records_max + 1);
  if (!holes) return std::move(holes).error();
  if (holes->size() > records_max) before_seq = holes->back().seq_last + 1;  // there may be more
  LossWriter lost(entries);
  std::uint64_t next = from_seq;
  std::uint64_t bytes = 0;
  bool full = false;
  // Everything missing before `end`, by its recorded reason; unrecorded holes are corruption.
  const auto fill = [&](std::uint64_t end) {
    for (const LossRange& hole : *holes) {
      if (hole.seq_last < next || hole.seq_first >= end) continue;
      if (hole.seq_first > next) lost.add({next, hole.seq_first - 1, wire::LossReason::corrupt});
      const LossRange part{std::max(hole.seq_first, next), std::min(hole.seq_last, end - 1),
                           hole.reason};
      lost.add(part);
      next = part.seq_last + 1;
    }
    if (next < end) lost.add({next, end - 1, wire::LossReason::corrupt});
    next = end;
  };
  std::uint32_t rows = 0;
  bool out_of_order = false;
  db_->rows(
      "SELECT seq, class, time_us, crc, payload FROM records WHERE seq >= ? AND seq < ? ORDER BY "
      "seq LIMIT ?",
      [&](const sqlite::Row& row) {
        ++rows;
        const std::uint64_t seq = row.count(0);
        out_of_order = out_of_order || seq < next || seq >= before_seq;
        if (full || out_of_order) return;
        const auto record_class = static_cast<wire::RecordClass>(row.integer(1));
        const std::string_view payload = row.view(4);
        if (!entries.empty() &&
            (bytes + payload.size() > bytes_max || entries.size() >= records_max)) {
          full = true;
          return;
        }
        if (seq > next) fill(seq);
        next = seq + 1;
        if (row.integer(3) != row_checksum(seq, record_class, row.integer(2), payload)) {
          lost.add({seq, seq, wire::LossReason::corrupt});
          ++corrupt_rows_total_;
          return;
        }
        lost.close();
        bytes += payload.size();
        entries.push_back({seq, seq, record_class, std::string(payload)});
      },
      from_seq, before_seq, records_max);
  if (db_->failed()) return db_->failure();
  if (out_of_order) return Error{Errc::corrupt, "outbox.db: its rows are out of order"};
  if (!full && rows < records_max && next < before_seq) fill(before_seq);
  return entries;
}

Result<OutboxReader::RecordAt> OutboxReader::at(std::uint64_t seq, std::uint64_t after) {
  const ReadTransaction as_of_now(*db_);
  std::uint64_t newest = 0;
  std::uint64_t hash = 0;
  const auto take = [&](const sqlite::Row& row) {
    const auto record_class = static_cast<wire::RecordClass>(row.integer(1));
    if (newest != 0 ||
        row.integer(3) != row_checksum(row.count(0), record_class, row.integer(2), row.view(4))) {
      return;
    }
    newest = row.count(0);
    hash = wire::record_hash(row.view(4));
  };
  db_->rows("SELECT seq, class, time_us, crc, payload FROM records WHERE seq = ?", take, seq);
  if (db_->failed()) return db_->failure();
  if (newest == seq) return RecordAt{.state = RecordAt::State::readable, .hash = hash};
  const auto lost = losses(seq, seq + 1, 1);
  if (!lost) return lost.error();
  if (lost->empty() || lost->front().reason != wire::LossReason::quota) return RecordAt{};
  db_->rows(
      "SELECT seq, class, time_us, crc, payload FROM records WHERE seq < ? AND seq > ? ORDER BY "
      "seq DESC LIMIT 100",
      take, seq, after);
  if (db_->failed()) return db_->failure();
  return RecordAt{.state = RecordAt::State::given_up, .below_seq = newest, .below_hash = hash};
}

Result<HighWaterMark> OutboxReader::position() {
  HighWaterMark position;
  db_->clear_failure();
  db_->rows("SELECT database_id, epoch, acked_seq, acked_hash, next_seq FROM position",
            [&](const sqlite::Row& row) {
              position = {row.text(0), row.count(1), row.count(2), row.count(3), row.count(4)};
            });
  if (db_->failed()) return db_->failure();
  return position;
}

Result<std::vector<std::string>> OutboxReader::faults() {
  std::vector<std::string> faults;
  db_->clear_failure();
  db_->rows("PRAGMA integrity_check(10)", [&](const sqlite::Row& row) {
    if (row.view(0) != "ok") faults.push_back(row.text(0));
  });
  db_->rows(
      "SELECT database_id, epoch, acked_seq, acked_hash, next_seq, records, bytes, crc FROM "
      "position",
      [&](const sqlite::Row& row) {
        const HighWaterMark at{row.text(0), row.count(1), row.count(2), row.count(3), row.count(4)};
        if (row.integer(7) != position_checksum(at, row.count(5), row.count(6))) {
          faults.emplace_back("its position fails its checksum");
        }
      });
  if (db_->failed()) return db_->failure();
  return faults;
}

Result<std::vector<OutboxReader::ClassCount>> OutboxReader::counts() {
  std::vector<ClassCount> counts;
  db_->clear_failure();
  db_->rows("SELECT class, count(*), sum(length(payload)) FROM records GROUP BY class",
            [&](const sqlite::Row& row) {
              counts.push_back(
                  {static_cast<wire::RecordClass>(row.integer(0)), row.count(1), row.count(2)});
            });
  if (db_->failed()) return db_->failure();
  return counts;
}

Result<std::vector<LossRange>> OutboxReader::losses(std::uint64_t from_seq,
                                                    std::uint64_t before_seq,
                                                    std::uint64_t ranges_max) {
  std::vector<LossRange> ranges;
  db_->clear_failure();
  db_->rows(
      "SELECT seq_first, seq_last, reason FROM losses WHERE seq_first >= coalesce((SELECT "
      "max(seq_first) FROM losses WHERE seq_first <= ?), 0) AND seq_last >= ? AND seq_first < ? "
      "ORDER BY seq_first LIMIT ?",
      [&](const sqlite::Row& row) {
        ranges.push_back(
            {row.count(0), row.count(1), static_cast<wire::LossReason>(row.integer(2))});
      },
      from_seq, from_seq, before_seq, ranges_max);
  if (db_->failed()) return db_->failure();
  return ranges;
}

}  // namespace lapwing::agent
