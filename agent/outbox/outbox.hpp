// SPDX-License-Identifier: Apache-2.0
/// The agent's durable queue of records. The rules:
///
/// - A record is in the queue of memory, then committed (WAL, synchronous=FULL, many in one
///   transaction), then the high-water mark beside the database is synced; only then may it be
///   sent.
/// - It is deleted only when the hub acknowledged it. Losing a deletion in a crash is harmless.
/// - Sequence numbers only grow and are never used twice, whatever the database forgets.
/// - The outbox is bounded in bytes; what is given up leaves a loss range, sent like a record.
/// - A failed sync is never retried: the database is closed, opened anew, and what it then holds
///   decides whether the records of that commit are written again.
/// - A damaged database is replaced while scoring goes on: every record that can be read moves to a
///   new one with its number, the rest become losses, the damaged file is kept aside.
#pragma once

#include "agent/outbox/config.hpp"
#include "agent/outbox/database.hpp"
#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace lapwing {
class Metrics;
}

namespace lapwing::agent {

struct OutboxFigures {
  std::uint64_t records = 0;    ///< committed and not acknowledged
  std::uint64_t bytes = 0;      ///< they take
  std::uint64_t bytes_max = 0;  ///< they may take; less while the disk is full
  std::uint64_t next_seq = 1;   ///< the next record gets it
  std::uint64_t acked_seq = 0;
  std::uint64_t dropped_total = 0;  ///< given up since the start
  std::uint64_t at_risk = 0;        ///< in memory, not committed: gone if the process is killed
  bool writable = true;             ///< false while commits fail
  bool waiting = false;             ///< scoring waits for room (`block`, or a slow disk)
  std::string problem;              ///< why
};

/// Threads: every function may be called from any thread; one thread of its own writes.
class Outbox {
 public:
  /// Opens or creates the outbox in `folder`. Errors: io, denied, limit, unsupported (written by a
  /// newer version).
  static Result<std::unique_ptr<Outbox>> open(const OutboxConfig& config,
                                              const std::filesystem::path& folder,
                                              Metrics& metrics);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Queues records to be committed, in order. Waits while the queue is full. While commits fail it
  /// does not wait: summaries are given up as OutboxConfig says, anomalies last; counted, and a
  /// loss range. With AtBound::block it waits for the hub instead, whenever the outbox is full.
  /// After stop(): dropped.
  void submit(std::vector<OutboxRecord> records);
  /// Returns when everything submitted before is committed (or given up).
  void flush();
  /// A stop is coming: submit() waits no more, what still comes is stored beyond the bound.
  void stop_waiting();
  /// Commits what is queued and ends the thread. Repeatable.
  void stop();

  /// As committed. What the uplink starts from.
  [[nodiscard]] HighWaterMark position() const;
  [[nodiscard]] OutboxFigures figures() const;
  /// Called on the writing thread after each commit with the new next_seq. Set before use; empty
  /// clears it and waits for a call that is under way.
  void on_commit(std::function<void(std::uint64_t next_seq)> listener);

  /// Committed entries from `from_seq` on; see OutboxReader::read.
  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint32_t records_max,
                                              std::uint64_t bytes_max);
  /// What there is at a number that waits; nullopt for one that does not. See OutboxReader::at.
  Result<std::optional<OutboxReader::RecordAt>> at(std::uint64_t seq);
  /// The hub has everything up to `seq`, by the word of its region: forgotten with one of the next
  /// commits.
  void forget_through(std::uint64_t seq, std::uint32_t region = 0);
  /// Durable when it returns. `region`: of the hub that granted it.
  Result<void> adopt(std::uint64_t epoch, std::uint64_t watermark, std::uint32_t region = 0);

 private:
  class Impl;
  explicit Outbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::agent
