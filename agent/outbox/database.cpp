// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/database.hpp"

#include "agent/outbox/salvage.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace lapwing::agent {
namespace {

constexpr std::array<std::string_view, 1> kMigrations = {R"(
  CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), database_id TEXT NOT NULL,
    epoch INTEGER NOT NULL, acked_seq INTEGER NOT NULL, acked_hash INTEGER NOT NULL,
    next_seq INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL) STRICT;
  CREATE TABLE records (seq INTEGER PRIMARY KEY, class INTEGER NOT NULL, time_us INTEGER NOT NULL,
    crc INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
  CREATE TABLE losses (seq_first INTEGER PRIMARY KEY, seq_last INTEGER NOT NULL,
    reason INTEGER NOT NULL) STRICT;
)"};

std::filesystem::path database_file(const std::filesystem::path& folder) {
  return folder / "outbox.db";
}

constexpr std::array kParts = {"", "-wal", "-shm"};

std::filesystem::path part_of(const std::filesystem::path& file, const char* part) {
  return file.string() + part;
}

Result<void> move_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code failed;
  for (const char* part : kParts) std::filesystem::remove(part_of(to, part), failed);
  std::filesystem::rename(from, to, failed);
  if (failed) return Error{Errc::io, from.string() + ": cannot be moved: " + failed.message()};
  for (const char* part : {"-wal", "-shm"}) {
    std::filesystem::rename(part_of(from, part), part_of(to, part), failed);
  }
  return {};
}

/// Where a damaged database is kept for those who want to look into it. Three at most: the last
/// place is used again.
std::filesystem::path place_aside(const std::filesystem::path& file) {
  std::error_code ignored;
  std::filesystem::path aside;
  for (int i = 1; i <= 3; ++i) {
    aside = file.string() + ".damaged-" + std::to_string(i);
    if (!std::filesystem::exists(aside, ignored)) break;
  }
  return aside;
}

/// A newer version would have others: SQLite keeps the words a table was created with.
bool has_our_tables(sqlite::Connection& db) {
  int ours = 0;
  int others = 0;
  db.clear_failure();
  db.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL", [&](const sqlite::Row& row) {
    ++(kMigrations[0].find(row.view(0)) == std::string_view::npos ? others : ours);
  });
  return !db.failed() && ours == 3 && others == 0;
}

Result<std::unique_ptr<sqlite::Connection>> connect(const std::filesystem::path& file) {
  auto db = sqlite::Connection::open(
      file, {.cache_bytes = 2U << 20U, .secure_delete = false, .checkpoint_pages = 1000});
  if (!db) return db;
  auto done = sqlite::migrate(**db, kMigrations);
  const bool ours = has_our_tables(**db);
  if (done && ours) return db;
  if (done || (ours && done.error().code == Errc::unsupported)) {
    return Error{Errc::corrupt, "outbox.db: its tables are not those of its version"};
  }
  return std::move(done).error();
}

/// The mark beside the database; nullopt where there is none that can be read.
Result<std::optional<HighWaterMark>> read_mark(HighWaterMarkFile& file) {
  auto mark = file.read();
  if (mark || mark.error().code != Errc::corrupt) return mark;
  log::warn("high-water mark unreadable, going by the database", {mark.error()});
  return std::optional<HighWaterMark>();
}

}  // namespace

std::uint32_t position_checksum(const HighWaterMark& at, std::uint64_t records,
                                std::uint64_t bytes) {
  std::string text = at.database_id;
  for (const auto number : {at.epoch, at.acked_seq, at.acked_hash, records, bytes}) {
    text += ' ';
    text += std::to_string(number);
  }
  return row_checksum(at.next_seq, wire::RecordClass::loss, 0, text);
}

Result<std::unique_ptr<OutboxDatabase>> OutboxDatabase::open(const std::filesystem::path& folder,
                                                             OpenReport& report, bool damaged) {
  const auto file = database_file(folder);
  const auto fresh = part_of(file, ".new");
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored) && std::filesystem::exists(fresh, ignored)) {
    // A crash between heal()'s two moves: the healed one is complete.
    if (auto moved = move_file(fresh, file); !moved) return std::move(moved).error();
  }
  if (!damaged) {
    auto sound = open_sound(folder, report);
    if (sound || sound.error().code != Errc::corrupt) return sound;
    log::error("outbox is damaged, saving what can be read", {sound.error()});
  }
  if (auto healed = heal(folder, report); !healed) return std::move(healed).error();
  return open_sound(folder, report);
}

Result<std::unique_ptr<OutboxDatabase>> OutboxDatabase::open_sound(
    const std::filesystem::path& folder, OpenReport& report) {
  auto mark = HighWaterMarkFile::open(folder / "outbox.hwm");
  if (!mark) return std::move(mark).error();
  auto db = connect(database_file(folder));
  if (!db) return std::move(db).error();
  std::unique_ptr<OutboxDatabase> outbox(new OutboxDatabase(std::move(*db), std::move(*mark)));
  if (auto loaded = outbox->load(report); !loaded) return std::move(loaded).error();
  return outbox;
}

/// Builds a new database beside the damaged one, then puts it in its place.
Result<void> OutboxDatabase::heal(const std::filesystem::path& folder, OpenReport& report) {
  const auto file = database_file(folder);
  const auto fresh = part_of(file, ".new");
  std::error_code ignored;
  for (const char* part : kParts) std::filesystem::remove(part_of(fresh, part), ignored);
  {
    auto mark = HighWaterMarkFile::open(folder / "outbox.hwm");
    if (!mark) return std::move(mark).error();
    auto db = connect(fresh);
    if (!db) return std::move(db).error();
    OutboxDatabase healed(std::move(*db), std::move(*mark));
    if (auto filled = healed.fill_from(file, report); !filled) return filled;
  }  // closed: one file, without a write-ahead log
  const auto aside = place_aside(file);
  if (auto moved = move_file(file, aside); !moved) return moved;
  report.set_aside = aside;
  return move_file(fresh, file);
}

/// Every readable record with its number; losses for the rest.
Result<void> OutboxDatabase::fill_from(const std::filesystem::path& damaged, OpenReport& report) {
  auto outside = read_mark(mark_);
  if (!outside) return std::move(outside).error();
  auto old = sqlite::Connection::open(damaged, {.cache_bytes = 1U << 20U});
  std::optional<HighWaterMark> inside;
  std::vector<LossRange> known;
  if (old) {
    inside = salvage_position(**old);
    known = salvage_losses(**old);
  }
  if (*outside) {
    position_ = **outside;
    if (inside && inside->database_id == position_.database_id) {
      position_.next_seq = std::max(position_.next_seq, inside->next_seq);
    }
  } else {
    position_ = inside.value_or(HighWaterMark{.database_id = random_id()});
  }
  begin();
  db_->run("INSERT INTO position VALUES (1, '', 0, 0, 0, 1, 0, 0, 0)");
  const std::uint64_t known_next = std::exchange(position_.next_seq, position_.acked_seq + 1);
  auto hole = known.begin();
  // Everything missing before `end`: by its known reason, else for the damage.
  const auto lose_until = [&](std::uint64_t end) {
    while (position_.next_seq < end) {
      while (hole != known.end() && hole->seq_last < position_.next_seq) ++hole;
      LossRange part{position_.next_seq, end - 1, wire::LossReason::corrupt};
      if (hole != known.end() && hole->seq_first <= part.seq_first) {
        part = {part.seq_first, std::min(hole->seq_last, part.seq_last), hole->reason};
      } else {
        if (hole != known.end()) part.seq_last = std::min(part.seq_last, hole->seq_first - 1);
        report.losses.push_back(part);
      }
      append_loss(part.seq_last - part.seq_first + 1, part.reason);
    }
  };
  if (old) {
    // Rows of a last commit that the mark does not know of yet are good, too.
    constexpr std::uint64_t kCommitRecordsMax = 100'000;
    salvage_rows(**old, position_.acked_seq, known_next + kCommitRecordsMax,
                 [&](const StoredRow& row) {
                   lose_until(row.seq);
                   insert(row.seq, row.record_class, row.time_us, row.crc, row.payload);
                   position_.next_seq = row.seq + 1;
                   ++report.salvaged;
                 });
  }
  lose_until(known_next);
  if (auto done = commit(); !done) return done;
  return write_mark();
}

Result<void> OutboxDatabase::load(OpenReport& report) {
  bool there = false;
  bool sound = true;
  db_->rows(
      "SELECT database_id, epoch, acked_seq, acked_hash, next_seq, records, bytes, crc FROM "
      "position",
      [&](const sqlite::Row& row) {
        there = true;
        position_ = {row.text(0), row.count(1), row.count(2), row.count(3), row.count(4)};
        records_ = row.count(5);
        bytes_ = row.count(6);
        sound = row.integer(7) == position_checksum(position_, records_, bytes_);
      });
  std::uint64_t newest = 0;
  db_->rows("SELECT max(seq) FROM records", [&](const sqlite::Row& row) { newest = row.count(0); });
  if (db_->failed()) return db_->failure();
  if (!sound) return Error{Errc::corrupt, "outbox.db: its position fails its checksum"};
  if (newest >= position_.next_seq)
    return Error{Errc::corrupt, "outbox.db: rows beyond its position"};
  const auto outside = read_mark(mark_);
  if (!outside) return outside.error();

  if (there && *outside && (*outside)->database_id == position_.database_id &&
      (*outside)->epoch >= position_.epoch) {
    position_.regions =
        (*outside)->epoch > position_.epoch && (*outside)->next_seq <= position_.next_seq
            ? std::vector<wire::RegionMark>()
            : (*outside)->regions;
  }
  begin();
  if (!there) {  // new, or made anew beside a mark that remembers
    position_ = outside->value_or(HighWaterMark{.database_id = random_id()});
    const std::uint64_t next = std::exchange(position_.next_seq, position_.acked_seq + 1);
    db_->run("INSERT INTO position VALUES (1, '', 0, 0, 0, 1, 0, 0, 0)");
    if (next > position_.next_seq) {
      report.losses.push_back({position_.next_seq, next - 1, wire::LossReason::vanished});
      append_loss(next - position_.next_seq, wire::LossReason::vanished);
    }
  } else if (*outside && (*outside)->database_id == position_.database_id &&
             (*outside)->next_seq > position_.next_seq) {
    const HighWaterMark& known = **outside;
    report.losses.push_back({position_.next_seq, known.next_seq - 1, wire::LossReason::vanished});
    append_loss(known.next_seq - position_.next_seq, wire::LossReason::vanished);
    if (known.acked_seq > position_.acked_seq) {
      position_.acked_seq = known.acked_seq;
      position_.acked_hash = known.acked_hash;
    }
    position_.epoch = std::max(position_.epoch, known.epoch);
  }
  if (auto done = commit(); !done) return done;
  return write_mark();
}

void OutboxDatabase::begin() {
  before_ = {position_, records_, bytes_, no_summary_below_};
  db_->clear_failure();
  db_->run("BEGIN IMMEDIATE");
}

void OutboxDatabase::insert(std::uint64_t seq, wire::RecordClass record_class, std::int64_t time_us,
                            std::uint32_t crc, std::string_view payload) {
  db_->run("INSERT INTO records (seq, class, time_us, crc, payload) VALUES (?, ?, ?, ?, ?)", seq,
           static_cast<std::int64_t>(record_class), time_us, crc, sqlite::Blob{payload});
  ++records_;
  bytes_ += cost(payload.size());
}

void OutboxDatabase::forget_through(std::uint64_t seq) {
  if (seq <= position_.acked_seq || seq >= position_.next_seq) return;
  std::uint64_t hash = 0;
  db_->rows(
      "SELECT class, time_us, crc, payload FROM records WHERE seq = ?",
      [&](const sqlite::Row& row) {
        const auto record_class = static_cast<wire::RecordClass>(row.integer(0));
        // A row that went bad after it was sent says nothing of what the hub has: 0, not known.
        if (row.integer(2) != row_checksum(seq, record_class, row.integer(1), row.view(3))) return;
        hash = wire::record_hash(row.view(3));
      },
      seq);
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
  db_->run("DELETE FROM losses WHERE seq_first <= ? AND seq_last <= ?", seq, seq);
  records_ -= std::min(records_, gone);
  bytes_ -= std::min(bytes_, gone_bytes);
  position_.acked_seq = seq;
  position_.acked_hash = hash;
}

void OutboxDatabase::adopt(std::uint64_t epoch, const wire::RegionMark& granted) {
  position_.epoch = epoch;
  position_.regions = {granted};
  forget_through(granted.through);
}

Result<void> OutboxDatabase::commit() {
  db_->run(
      "UPDATE position SET database_id = ?, epoch = ?, acked_seq = ?, acked_hash = ?, next_seq = "
      "?, records = ?, bytes = ?, crc = ?",
      position_.database_id, position_.epoch, position_.acked_seq, position_.acked_hash,
      position_.next_seq, records_, bytes_, position_checksum(position_, records_, bytes_));
  db_->run("COMMIT");
  if (!db_->failed()) return {};
  Error failure = db_->failure();
  rollback();
  return failure;
}

void OutboxDatabase::rollback() {
  db_->clear_failure();
  db_->run("ROLLBACK");
  db_->clear_failure();  // SQLite may have rolled back by itself
  position_ = before_.position;
  records_ = before_.records;
  bytes_ = before_.bytes;
  no_summary_below_ = before_.no_summary_below;
}

}  // namespace lapwing::agent
