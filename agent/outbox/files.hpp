// SPDX-License-Identifier: Apache-2.0
/// The outbox's files as one thing that is written in transactions and heals: the database with a
/// reader beside it, the mark, the ballast. After a failure they are closed, opened anew, and what
/// they then hold decides.
#pragma once

#include "agent/outbox/ballast.hpp"
#include "agent/outbox/config.hpp"
#include "agent/outbox/database.hpp"
#include "agent/outbox/meters.hpp"
#include "agent/outbox/waiting.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace lapwing::agent {

/// An epoch the hub granted, with the number everything up to which it has.
struct Adoption {
  std::uint64_t epoch = 0;
  wire::RegionMark granted;  ///< by whom, and the watermark
};

/// What one transaction is to do.
struct OutboxWork {
  WaitingRecords::Taken taken;
  std::uint64_t forget = 0;
  std::vector<wire::RegionMark> acknowledged;  ///< by whose word
  std::optional<Adoption> adoption;
};

/// What came of it. `stored` without `done`: the rows are in, but may not be sent yet.
struct OutboxOutcome {
  bool stored = false;
  Result<void> done;
  std::uint64_t settled = 0;  ///< records of the work that need no other try
  std::uint64_t bytes = 0;    ///< of them
  std::uint64_t refused = 0;  ///< of them, not stored after all, at the bound
  std::uint64_t dropped = 0;  ///< stored earlier
};

/// Threads: read() from any; everything else from one, the writer's.
class OutboxFiles {
 public:
  /// Errors: io, denied, limit, unsupported (written by a newer version). Borrows the meters.
  static Result<std::unique_ptr<OutboxFiles>> open(const OutboxConfig& config,
                                                   const std::filesystem::path& folder,
                                                   OutboxMeters& meters);

  /// One commit. What it could not store is left in `work`. While the disk is full it goes on in
  /// the room the files have and the ballast gives.
  OutboxOutcome transact(OutboxWork& work);
  /// The database is known to be damaged: the next transaction replaces it.
  void damaged();

  // As of the last transaction that was done.
  [[nodiscard]] const HighWaterMark& position() const { return database_->position(); }
  [[nodiscard]] std::uint64_t records() const { return database_->records(); }
  [[nodiscard]] std::uint64_t bytes() const { return database_->bytes(); }
  [[nodiscard]] std::uint64_t bytes_max() const { return bound_.bytes_max; }
  [[nodiscard]] bool disk_full() const { return bound_.bytes_max < config_.bytes_max; }
  /// Written since the last call, in bytes.
  [[nodiscard]] std::uint64_t take_written() { return written_->exchange(0); }

  /// See OutboxReader::read. Errors: io (they are being opened anew), corrupt.
  Result<std::vector<wire::RecordEntry>> read(std::uint64_t from_seq, std::uint64_t before_seq,
                                              std::uint32_t records_max, std::uint64_t bytes_max);
  /// See OutboxReader::at. Errors: as read().
  Result<OutboxReader::RecordAt> at(std::uint64_t seq, std::uint64_t after);

 private:
  /// A commit whose outcome shows only when the database is opened anew.
  struct Unsure {
    std::uint64_t first_seq = 0;
    std::size_t records = 0;
    std::uint64_t given_up = 0;
  };
  OutboxFiles(const OutboxConfig& config, std::filesystem::path folder, OutboxMeters& meters);
  Result<void> reopen();
  void close(bool damaged);
  void write(OutboxWork& work, OutboxOutcome& outcome);
  std::size_t settle_unsure(OutboxWork& work);
  bool make_do();
  void look_for_room();

  const OutboxConfig config_;
  const std::filesystem::path folder_;
  OutboxMeters& meters_;
  const std::shared_ptr<std::atomic<std::uint64_t>> written_;  // bytes, by the files themselves
  Ballast ballast_;
  Ticks room_again_{};  // when to look for it
  Bound bound_;
  std::unique_ptr<OutboxDatabase> database_;  // null between a failure and the next transaction
  std::optional<Unsure> unsure_;
  bool damaged_ = false;
  std::mutex reader_mutex_;
  std::unique_ptr<OutboxReader> reader_;  // guarded by reader_mutex_
};

}  // namespace lapwing::agent
