// SPDX-License-Identifier: Apache-2.0
/// How many bytes SQLite hands to the system: what wears flash out.
#pragma once

#include <atomic>
#include <cstdint>

namespace lapwing::sqlite {

/// While it lives, files that this thread's connections open add what is written to them, log and
/// checkpoints included, to `bytes`, which must outlive the connections.
class CountedFiles {
 public:
  explicit CountedFiles(std::atomic<std::uint64_t>* bytes);
  ~CountedFiles();
  CountedFiles(const CountedFiles&) = delete;
  CountedFiles& operator=(const CountedFiles&) = delete;

  /// Of SQLite's virtual file system to open with; null: the usual one.
  [[nodiscard]] static const char* file_system();
};

}  // namespace lapwing::sqlite
