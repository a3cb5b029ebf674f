// SPDX-License-Identifier: Apache-2.0
/// The outbox's file: rows with checksums, ranges given up, and where the hub stands.
#pragma once

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
};

/// One writer's view of the file. Every changing function belongs to the transaction between
/// begin() and commit(); after an error nothing since begin() has happened. Errors: io, limit (disk
/// full), corrupt. Threads: one object is used from one thread at a time.
class OutboxDatabase {
 public:
  /// Opens or creates `folder`/outbox.db and outbox.hwm and reconciles them: a range that the
  /// database lost becomes a loss, a damaged database is set aside and numbering goes on above it.
  static Result<std::unique_ptr<OutboxDatabase>> open(const std::filesystem::path& folder,
                                                      OpenReport& report);

  [[nodiscard]] const HighWaterMark& position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

  void begin();
  /// Gives the records the next sequence numbers.
  void append(std::span<const OutboxRecord> records);
  /// Gives `count` sequence numbers to records that were never stored.
  void append_loss(std::uint64_t count, wire::LossReason reason);
  /// Forgets everything up to `seq`, which the hub has; keeps the hash of the record at it.
  void forget_through(std::uint64_t seq);
  void adopt(std::uint64_t epoch, std::uint64_t watermark);
  /// Deletes the oldest summaries, then the oldest of any class, until `bytes_max` hold. How many.
  std::uint64_t make_room(std::uint64_t bytes_max);
  /// Durable when it returns, the high-water mark included.
  Result<void> commit();
  void rollback();

  /// Bytes one record counts for beside its payload: keys, checksum, page overhead.
  static constexpr std::uint64_t kRowBytes = 40;

 private:
  OutboxDatabase(std::unique_ptr<sqlite::Connection> db, HighWaterMarkFile mark)
      : db_(std::move(db)), mark_(std::move(mark)) {}
  Result<void> load(OpenReport& report);
  void lose(const LossRange& range);
  std::uint64_t drop_oldest(bool summaries_only, std::uint64_t bytes_max);

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
  } before_;  ///< at begin(), for rollback
};

/// A second, read-only view of the same file, for the uplink and the tools.
/// Threads: one object is used from one thread at a time.
class OutboxReader {
 public:
  static Result<std::unique_ptr<OutboxReader>> open(const std::filesystem::path& folder);

  /// Consecutive entries from `from_seq` on and below `before_seq`: at most `records_max` and about
  /// `bytes_max`, at least one if there is any. Holes and rows that fail their checksum become loss
  /// entries.
  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint64_t before_seq,
                                              std::uint32_t records_max, std::uint64_t bytes_max);
  /// The database's own idea of the position (the high-water mark may be ahead).
  Result<HighWaterMark> position();
  struct ClassCount {
    wire::RecordClass record_class;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
  };
  Result<std::vector<ClassCount>> counts();
  Result<std::vector<LossRange>> losses(std::uint64_t from_seq, std::uint64_t before_seq);

 private:
  explicit OutboxReader(std::unique_ptr<sqlite::Connection> db) : db_(std::move(db)) {}
  std::unique_ptr<sqlite::Connection> db_;
};

/// Of (seq, class, time, payload): a row that moved or changed does not match.
[[nodiscard]] std::uint32_t row_checksum(std::uint64_t seq, wire::RecordClass record_class,
                                         std::int64_t time_us, std::string_view payload);

}  // namespace lapwing::agent
