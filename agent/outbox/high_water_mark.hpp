// SPDX-License-Identifier: Apache-2.0
/// What the outbox must know even if its database forgets: kept in a small file beside it.
///
/// A torn write-ahead log makes SQLite drop committed rows without an error; the mark tells how far
/// numbering had come, so that no sequence number is used twice and the missing are accounted for.
#pragma once

#include "shared/base/result.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::agent {

struct HighWaterMark {
  std::string database_id;  ///< 32 hex digits
  std::uint64_t epoch = 0;
  std::uint64_t acked_seq = 0;
  std::uint64_t acked_hash = 0;
  std::uint64_t next_seq = 1;  ///< the next record to be committed gets it, or a higher one
  /// Which regions acknowledged what of `epoch`; at most wire::kRegionsMax. Kept here alone: where
  /// the database is a commit ahead, a region's entry is older, never wrong.
  std::vector<wire::RegionMark> regions;

  /// By its region's word; keeps the highest. Beyond the bound it is left out.
  void acknowledged(const wire::RegionMark& mark);
};

/// Two slots with checksums, written in turn and synced: a torn write leaves the other one.
/// Threads: one object is used from one thread at a time.
class HighWaterMarkFile {
 public:
  static constexpr std::size_t kWriteBytes = 512;  ///< of one write()

  /// Opens or creates the file. Errors: io, denied, limit (disk full).
  static Result<HighWaterMarkFile> open(const std::filesystem::path& path);
  /// read() of a file that may be in use; it is not created: nullopt. Errors: io, denied, corrupt.
  static Result<std::optional<HighWaterMark>> look(const std::filesystem::path& path);
  ~HighWaterMarkFile();
  HighWaterMarkFile(HighWaterMarkFile&& other) noexcept;
  HighWaterMarkFile& operator=(HighWaterMarkFile&& other) noexcept;

  /// The newest readable mark; nullopt in a new file. Errors: corrupt (neither slot can be read).
  [[nodiscard]] Result<std::optional<HighWaterMark>> read();
  /// Durable when it returns. Errors: io, limit.
  Result<void> write(const HighWaterMark& mark);

 private:
  HighWaterMarkFile(int file, std::filesystem::path path) : file_(file), path_(std::move(path)) {}

  int file_;
  std::filesystem::path path_;
  std::uint64_t generation_ = 0;
};

}  // namespace lapwing::agent
