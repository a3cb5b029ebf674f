// SPDX-License-Identifier: Apache-2.0
/// The saved detector state of one shard's streams and groups: name, tags and pipeline bytes, each
/// entry with a checksum. Written beside the old file and renamed, so that a crash leaves one of
/// the two.
#pragma once

#include "shared/base/result.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// Whose state an entry holds. The sensor of a group has none of its own.
enum class SnapshotOf : std::uint8_t { stream = 0, group = 1, sensor = 2 };

/// Threads: one object is used from one thread at a time. Memory: one entry.
class SnapshotWriter {
 public:
  /// Begins `path`.new. Errors: io.
  static Result<SnapshotWriter> begin(const std::filesystem::path& path);
  void add(SnapshotOf of, std::string_view name, std::span<const wire::Tag> tags,
           std::span<const std::byte> state);
  /// Hands everything to the kernel. Errors: io, limit (disk full).
  Result<void> finish();
  /// Makes the file durable and puts it in place of the old one; may take long, any thread.
  static Result<void> publish(const std::filesystem::path& path);

 private:
  explicit SnapshotWriter(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
  std::ofstream out_;
  std::string buffer_;
};

struct SnapshotEntry {
  SnapshotOf of = SnapshotOf::stream;
  std::string name;
  std::vector<wire::Tag> tags;
  std::vector<std::byte> state;
};

/// Calls `take` for every entry that is whole. A damaged entry ends the reading: what follows
/// cannot be trusted. Errors: not_found, corrupt (with what was read before), unsupported, io.
Result<void> read_snapshot(const std::filesystem::path& path,
                           const std::function<void(SnapshotEntry&)>& take);

}  // namespace lapwing::agent
