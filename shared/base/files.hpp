// SPDX-License-Identifier: Apache-2.0
/// Small files, whole: bounded reads, writes that a power cut leaves either old or new.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace lapwing {

/// The file's bytes. Errors: not_found, denied, limit (longer than `bytes_max`), io.
Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t bytes_max);

/// A password or token from a file, without the line's end. Errors: as read_file (64 KiB at most).
Result<Secret<std::string>> read_secret(const std::filesystem::path& path);

/// Replaces the file: written beside it, fsynced, renamed, directory fsynced. `mode` is the new
/// file's (0600 for keys and tokens). Errors: denied, limit (disk full), io; the old file stays.
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view bytes,
                               ::mode_t mode = 0644);

/// Held while the object lives: two processes on one data folder would spoil it.
/// Ownership: movable. The kernel lets go when the process dies, however it dies.
class FileLock {
 public:
  /// Creates the file if needed. Errors: exists (another process holds it), denied, io.
  static Result<FileLock> take(const std::filesystem::path& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_;
};

}  // namespace lapwing
