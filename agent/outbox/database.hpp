// SPDX-License-Identifier: Apache-2.0
/// The outbox's file: rows with checksums, ranges given up, and where the hub stands.
#pragma once

#include "agent/outbox/config.hpp"
#include "agent/outbox/high_water_mark.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/sqlite/connection.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// A record on its way into the outbox.
struct OutboxRecord {
  wire::RecordClass record_class = wire::RecordClass::anomaly;
  Time time{};
  std::string payload;  ///< of wire::encode_record
};

/// Records of seq_first..seq_last are gone for good.
struct LossRange {
  std::uint64_t seq_first = 0;
  std::uint64_t seq_last = 0;
  wire::LossReason reason = wire::LossReason::quota;
};

/// What a database that was just opened had lost or given up, for the log.
struct OpenReport {
  std::vector<LossRange> losses;    ///< found now
  std::filesystem::path set_aside;  ///< a damaged file was moved there; empty: it was sound
  std::uint64_t salvaged = 0;       ///< records read from it into the new one
};

/// A row of the outbox as it stands in the file.
struct StoredRow {
  std::uint64_t seq = 0;
  wire::RecordClass record_class = wire::RecordClass::anomaly;
  std::int64_t time_us = 0;
  std::uint32_t crc = 0;
  std::string payload;
};

/// How much may be kept, and what gives way.
struct Bound {
  std::uint64_t bytes_max = ~std::uint64_t{0};
  AtBound policy = AtBound::drop_oldest;
};

/// One writer's view of the file. Every changing function belongs to the transaction between
/// begin() and commit(); the first failure among them is commit()'s. Threads: one object is used
/// from one thread at a time.
class OutboxDatabase {
 public:
  /// Opens or creates `folder`/outbox.db and outbox.hwm and reconciles them: a range that the
  /// database lost becomes a loss. A damaged database is replaced by one that holds every record
  /// that could still be read; the rest become losses, the damaged file is kept aside (three at
  /// most). `damaged`: known to be, even if it opens.
  static Result<std::unique_ptr<OutboxDatabase>> open(const std::filesystem::path& folder,
                                                      OpenReport& report, bool damaged = false);

  [[nodiscard]] const HighWaterMark& position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

  void begin();
  /// Gives the records the next sequence numbers. drop_newest: summaries beyond the bound become
  /// losses; how many.
  std::uint64_t append(std::span<const OutboxRecord> records, const Bound& bound = {});
  /// Gives `count` sequence numbers to records that were never stored.
  void append_loss(std::uint64_t count, wire::LossReason reason);
  /// Forgets everything up to `seq`, which the hub has; keeps the hash of the record at it.
  void forget_through(std::uint64_t seq);
  /// Whose word it was; for the mark.
  void acknowledged(const wire::RegionMark& mark) { position_.acknowledged(mark); }
  void adopt(std::uint64_t epoch, const wire::RegionMark& granted);
  /// Deletes what the policy says until the bound holds. How many.
  std::uint64_t make_room(const Bound& bound);
  /// The rows are durable when it returns; they may be sent only after write_mark(). Errors: limit
  /// (disk full; nothing since begin() has happened), corrupt, io: whether it happened shows only
  /// when the database is opened anew: never retry on the same object.
  Result<void> commit();
  /// Makes the high-water mark of what is committed durable. Errors: io, limit; the rows stay.
  Result<void> write_mark() { return mark_.write(position_); }

  /// Bytes one record counts for beside its payload: keys, checksum, page overhead.
  static constexpr std::uint64_t kRowBytes = 40;
  /// What a record counts for.
  static constexpr std::uint64_t cost(std::uint64_t payload_bytes) {
    return payload_bytes + kRowBytes;
  }

 private:
  OutboxDatabase(std::unique_ptr<sqlite::Connection> db, HighWaterMarkFile mark)
      : db_(std::move(db)), mark_(std::move(mark)) {}
  static Result<std::unique_ptr<OutboxDatabase>> open_sound(const std::filesystem::path& folder,
                                                            OpenReport& report);
  static Result<void> heal(const std::filesystem::path& folder, OpenReport& report);
  Result<void> load(OpenReport& report);
  Result<void> fill_from(const std::filesystem::path& damaged, OpenReport& report);
  void insert(std::uint64_t seq, wire::RecordClass record_class, std::int64_t time_us,
              std::uint32_t crc, std::string_view payload);
  void lose(LossRange range);
  struct Dropped {
    std::uint64_t seq = 0;
    std::uint64_t bytes = 0;
  };
  std::uint64_t drop(const Bound& bound, bool summaries_only);
  std::vector<Dropped> newest_or_oldest(AtBound policy, bool summaries_only, std::uint64_t bytes);
  void rollback();

  std::unique_ptr<sqlite::Connection> db_;
  HighWaterMarkFile mark_;
  HighWaterMark position_;
  std::uint64_t records_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t no_summary_below_ = 0;  ///< no summary has a lower seq: where make_room looks
  struct Figures {
    HighWaterMark position;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t no_summary_below = 0;
  } before_;  ///< at begin(), for rollback
};

/// A second, read-only view of the same file, for the uplink and the tools.
/// Threads: one object is used from one thread at a time.
class OutboxReader {
 public:
  static Result<std::unique_ptr<OutboxReader>> open(const std::filesystem::path& folder);

  /// Consecutive entries from `from_seq` on and below `before_seq`, as of one instant: at most
  /// `records_max` records and about `bytes_max`, at least one entry if there is any. Holes and
  /// rows that fail their checksum become loss entries beside them. Errors: io, corrupt.
  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint64_t before_seq,
                                              std::uint32_t records_max, std::uint64_t bytes_max);
  /// What there is at `seq`; for one given up, also the newest readable row before it and above
  /// `after`. Errors: io, corrupt.
  struct RecordAt {
    enum class State : std::uint8_t { readable, given_up, damaged } state = State::damaged;
    std::uint64_t hash = 0;       ///< readable: wire::record_hash of it
    std::uint64_t below_seq = 0;  ///< given_up; 0: there is none
    std::uint64_t below_hash = 0;
  };
  Result<RecordAt> at(std::uint64_t seq, std::uint64_t after);
  /// Rows that failed their checksum so far.
  [[nodiscard]] std::uint64_t corrupt_rows_total() const noexcept { return corrupt_rows_total_; }
  /// The database's own idea of the position (the high-water mark may be ahead).
  Result<HighWaterMark> position();
  /// What SQLite finds wrong with the file, ten lines at most, and whether the position's checksum
  /// holds. Reads all of it.
  Result<std::vector<std::string>> faults();
  struct ClassCount {
    wire::RecordClass record_class;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
  };
  Result<std::vector<ClassCount>> counts();
  Result<std::vector<LossRange>> losses(std::uint64_t from_seq, std::uint64_t before_seq,
                                        std::uint64_t ranges_max = 10'000);

 private:
  explicit OutboxReader(std::unique_ptr<sqlite::Connection> db) : db_(std::move(db)) {}
  std::unique_ptr<sqlite::Connection> db_;
  std::uint64_t corrupt_rows_total_ = 0;
};

/// Of the position row: a flipped bit in it must not move the numbering.
[[nodiscard]] std::uint32_t position_checksum(const HighWaterMark& position, std::uint64_t records,
                                              std::uint64_t bytes);

/// Of (seq, class, time, payload): a row that moved or changed does not match.
[[nodiscard]] std::uint32_t row_checksum(std::uint64_t seq, wire::RecordClass record_class,
                                         std::int64_t time_us, std::string_view payload);

}  // namespace lapwing::agent
