// SPDX-License-Identifier: Apache-2.0
/// A file that grows piece by piece, over restarts, until it is whole.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace lapwing::agent {

/// `FILE.part` beside FILE. What was written last may be lost in a power cut, or be zeroes: the
/// digest tells at the end.
/// Errors: io, denied, limit (disk full). Threads: one at a time. Cost: fsync every kSyncBytes.
class PartFile {
 public:
  static constexpr std::uint64_t kSyncBytes = 1U << 20U;

  /// Goes on with what is there; what is longer than `length` is of another file and is dropped.
  static Result<PartFile> open(const std::filesystem::path& file, std::uint64_t length);
  ~PartFile();
  PartFile(PartFile&& other) noexcept
      : file_(std::move(other.file_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        have_(other.have_),
        synced_(other.synced_) {}
  PartFile& operator=(PartFile&&) = delete;

  [[nodiscard]] std::uint64_t have() const noexcept { return have_; }
  /// `offset`: where the last ones ended.
  Result<void> append(std::uint64_t offset, std::string_view bytes);
  /// Begins anew.
  Result<void> clear();
  /// When its SHA-256 is this one (64 hex digits), the file has its name, durably; else corrupt,
  /// and it stays as it is.
  Result<void> finish(std::string_view sha256);

 private:
  PartFile(std::filesystem::path file, int descriptor, std::uint64_t have)
      : file_(std::move(file)), descriptor_(descriptor), have_(have), synced_(have) {}

  std::filesystem::path file_;
  int descriptor_;
  std::uint64_t have_;
  std::uint64_t synced_;
};

/// Whether the file is there, with this length and SHA-256.
bool is_whole(const std::filesystem::path& file, std::uint64_t length, std::string_view sha256);

}  // namespace lapwing::agent
