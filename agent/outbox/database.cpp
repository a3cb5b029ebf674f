// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/database.hpp"

#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <array>

namespace lapwing::agent {
namespace {

constexpr std::array<std::string_view, 1> kMigrations = {R"(
  CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), database_id TEXT NOT NULL,
    epoch INTEGER NOT NULL, acked_seq INTEGER NOT NULL, acked_hash INTEGER NOT NULL,
    next_seq INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE records (seq INTEGER PRIMARY KEY, class INTEGER NOT NULL, time_us INTEGER NOT NULL,
    crc INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
  CREATE TABLE losses (seq_first INTEGER PRIMARY KEY, seq_last INTEGER NOT NULL,
    reason INTEGER NOT NULL) STRICT;
)"};

std::filesystem::path database_file(const std::filesystem::path& folder) {
  return folder / "outbox.db";
}

std::uint64_t cost(std::uint64_t payload_bytes) {
  return payload_bytes + OutboxDatabase::kRowBytes;
}

/// Moves a damaged database aside under a free name; its remains may be looked at later.
Result<std::filesystem::path> set_aside(const std::filesystem::path& file) {
  std::error_code failed;
  std::filesystem::path aside;
  for (int i = 1; i <= 3; ++i) {  // at most three are kept: the disk stays bounded
    aside = file.string() + ".damaged-" + std::to_string(i);
    if (!std::filesystem::exists(aside, failed)) break;
  }
  std::filesystem::rename(file, aside, failed);
  if (failed)
    return Error{Errc::io, file.string() + ": cannot be moved aside: " + failed.message()};
  for (const char* part : {"-wal", "-shm"}) {
    std::filesystem::rename(file.string() + part, aside.string() + part, failed);
  }
  return aside;
}

Result<std::unique_ptr<sqlite::Connection>> open_sound(const std::filesystem::path& file) {
  auto db = sqlite::Connection::open(
      file, {.cache_bytes = 2U << 20U, .secure_delete = false, .checkpoint_pages = 1000});
  if (!db) return db;
  if (auto done = sqlite::migrate(**db, kMigrations); !done) return std::move(done).error();
  return db;
}

}  // namespace

Result<std::unique_ptr<OutboxDatabase>> OutboxDatabase::open(const std::filesystem::path& folder,
                                                             OpenReport& report) {
  auto mark = HighWaterMarkFile::open(folder / "outbox.hwm");
  if (!mark) return std::move(mark).error();
  const auto file = database_file(folder);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto db = open_sound(file);
    if (db) {
      std::unique_ptr<OutboxDatabase> outbox(new OutboxDatabase(std::move(*db), std::move(*mark)));
      auto loaded = outbox->load(report);
      if (loaded) return outbox;
      if (loaded.error().code != Errc::corrupt) return std::move(loaded).error();
      mark = HighWaterMarkFile::open(folder / "outbox.hwm");
      if (!mark) return std::move(mark).error();
    } else if (db.error().code != Errc::corrupt) {
      return std::move(db).error();
    }
    auto aside = set_aside(file);
    if (!aside) return std::move(aside).error();
    report.set_aside = *aside;
  }
  return Error{Errc::corrupt, file.string() + ": cannot be made anew"};
}

Result<void> OutboxDatabase::load(OpenReport& report) {
  bool there = false;
  db_->rows(
      "SELECT database_id, epoch, acked_seq, acked_hash, next_seq, records, bytes FROM position",
      [&](const sqlite::Row& row) {
        there = true;
        position_ = {row.text(0), row.count(1), row.count(2), row.count(3), row.count(4)};
        records_ = row.count(5);
        bytes_ = row.count(6);
      });
  std::uint64_t newest = 0;
  db_->rows("SELECT max(seq) FROM records", [&](const sqlite::Row& row) { newest = row.count(0); });
  if (db_->failed()) return db_->failure();
  if (newest >= position_.next_seq)
    return Error{Errc::corrupt, "outbox.db: rows beyond its position"};

  auto mark = mark_.read();
  std::optional<HighWaterMark> outside;
  if (mark) {
    outside = *mark;
  } else if (mark.error().code == Errc::corrupt) {
    log::warn("high-water mark unreadable, going by the database", {mark.error()});
  } else {
    return std::move(mark).error();
  }

  begin();
  if (!there) {  // new, or made anew beside a mark that remembers
    position_ = outside.value_or(HighWaterMark{.database_id = random_id()});
    const std::uint64_t next = position_.next_seq;
    position_.next_seq = position_.acked_seq + 1;
    db_->run("INSERT INTO position VALUES (1, ?, ?, ?, ?, ?, 0, 0)", position_.database_id,
             position_.epoch, position_.acked_seq, position_.acked_hash, position_.next_seq);
    if (next > position_.next_seq) {
      report.losses.push_back({position_.next_seq, next - 1, wire::LossReason::corrupt});
      append_loss(next - position_.next_seq, wire::LossReason::corrupt);
    }
  } else if (outside && outside->database_id == position_.database_id &&
             outside->next_seq > position_.next_seq) {
    report.losses.push_back(
        {position_.next_seq, outside->next_seq - 1, wire::LossReason::vanished});
    append_loss(outside->next_seq - position_.next_seq, wire::LossReason::vanished);
    if (outside->acked_seq > position_.acked_seq) {
      position_.acked_seq = outside->acked_seq;
      position_.acked_hash = outside->acked_hash;
    }
    position_.epoch = std::max(position_.epoch, outside->epoch);
  }
  return commit();
}

void OutboxDatabase::begin() {
  before_ = {position_, records_, bytes_};
  db_->clear_failure();
  db_->run("BEGIN IMMEDIATE");
}

void OutboxDatabase::append(std::span<const OutboxRecord> records) {
  for (const auto& record : records) {
    const std::uint64_t seq = position_.next_seq++;
    const std::int64_t time_us = to_micros(record.time);
    db_->run("INSERT INTO records (seq, class, time_us, crc, payload) VALUES (?, ?, ?, ?, ?)", seq,
             static_cast<std::int64_t>(record.record_class), time_us,
             row_checksum(seq, record.record_class, time_us, record.payload),
             sqlite::Blob{record.payload});
    ++records_;
    bytes_ += cost(record.payload.size());
  }
}

void OutboxDatabase::append_loss(std::uint64_t count, wire::LossReason reason) {
  if (count == 0) return;
  lose({position_.next_seq, position_.next_seq + count - 1, reason});
  position_.next_seq += count;
}

void OutboxDatabase::lose(const LossRange& range) {
  // Grows the range before it where they touch, so that a long loss stays one row.
  const auto grown = db_->run(
      "UPDATE losses SET seq_last = ? WHERE seq_first = (SELECT max(seq_first) FROM losses WHERE "
      "seq_first < ?) AND seq_last = ? AND reason = ?",
      range.seq_last, range.seq_first, range.seq_first - 1,
      static_cast<std::int64_t>(range.reason));
  if (grown == 0) {
    db_->run("INSERT OR REPLACE INTO losses VALUES (?, ?, ?)", range.seq_first, range.seq_last,
             static_cast<std::int64_t>(range.reason));
  }
}

void OutboxDatabase::forget_through(std::uint64_t seq) {
  if (seq <= position_.acked_seq || seq >= position_.next_seq) return;
  std::uint64_t hash = 0;
  db_->rows(
      "SELECT payload FROM records WHERE seq = ?",
      [&](const sqlite::Row& row) { hash = wire::record_hash(row.view(0)); }, seq);
  std::uint64_t gone = 0;
  std::uint64_t gone_bytes = 0;
  db_->rows(
      "SELECT count(*), coalesce(sum(length(payload)), 0) FROM records WHERE seq <= ?",
      [&](const sqlite::Row& row) {
        gone = row.count(0);
        gone_bytes = row.count(1) + gone * kRowBytes;
      },
      seq);
  db_->run("DELETE FROM records WHERE seq <= ?", seq);
  db_->run("DELETE FROM losses WHERE seq_last <= ?", seq);
  records_ -= std::min(records_, gone);
  bytes_ -= std::min(bytes_, gone_bytes);
  position_.acked_seq = seq;
  position_.acked_hash = hash;
}

void OutboxDatabase::adopt(std::uint64_t epoch, std::uint64_t watermark) {
  position_.epoch = epoch;
  forget_through(watermark);
}

std::uint64_t OutboxDatabase::make_room(std::uint64_t bytes_max) {
  std::uint64_t dropped = drop_oldest(/*summaries_only=*/true, bytes_max);
  if (bytes_ > bytes_max) dropped += drop_oldest(/*summaries_only=*/false, bytes_max);
  return dropped;
}

std::uint64_t OutboxDatabase::drop_oldest(bool summaries_only, std::uint64_t bytes_max) {
  if (bytes_ <= bytes_max) return 0;
  // A little more than needed, so that not every commit has to drop again.
  const std::uint64_t target = bytes_max - bytes_max / 64;
  constexpr std::uint64_t kRowsMax = 50'000;                  // one call stays short
  std::vector<std::pair<std::uint64_t, std::uint64_t>> rows;  // seq, bytes
  std::uint64_t seen_to = no_summary_below_;
  std::uint64_t freed = 0;
  const auto take = [&](const sqlite::Row& row) {
    if (bytes_ - std::min(bytes_, freed) <= target) return;
    rows.emplace_back(row.count(0), cost(row.count(1)));
    freed += rows.back().second;
    seen_to = row.count(0) + 1;
  };
  if (summaries_only) {
    db_->rows(
        "SELECT seq, length(payload) FROM records WHERE seq >= ? AND class = ? ORDER BY seq LIMIT "
        "?",
        take, no_summary_below_, static_cast<std::int64_t>(wire::RecordClass::summary), kRowsMax);
    no_summary_below_ = rows.empty() ? position_.next_seq : seen_to;
  } else {
    db_->rows("SELECT seq, length(payload) FROM records ORDER BY seq LIMIT ?", take, kRowsMax);
  }
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && rows[end].first == rows[end - 1].first + 1) ++end;
    lose({rows[i].first, rows[end - 1].first, wire::LossReason::quota});
    i = end;
  }
  for (const auto& [seq, size] : rows) {
    db_->run("DELETE FROM records WHERE seq = ?", seq);
    bytes_ -= std::min(bytes_, size);
    --records_;
  }
  return rows.size();
}

Result<void> OutboxDatabase::commit() {
  db_->run(
      "UPDATE position SET epoch = ?, acked_seq = ?, acked_hash = ?, next_seq = ?, records = ?, "
      "bytes = ?",
      position_.epoch, position_.acked_seq, position_.acked_hash, position_.next_seq, records_,
      bytes_);
  db_->run("COMMIT");
  if (db_->failed()) {
    Error failure = db_->failure();
    rollback();
    return failure;
  }
  // The rows are durable; the mark must be too before anyone sends them.
  return mark_.write(position_);
}

void OutboxDatabase::rollback() {
  db_->clear_failure();
  db_->run("ROLLBACK");
  db_->clear_failure();  // SQLite may have rolled back by itself
  position_ = before_.position;
  records_ = before_.records;
  bytes_ = before_.bytes;
}

}  // namespace lapwing::agent
