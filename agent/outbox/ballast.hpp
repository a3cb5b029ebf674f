// SPDX-License-Identifier: Apache-2.0
/// Disk space held by a file of nothing, to be given back when the disk is full: a write-ahead log
/// needs room even to delete.
#pragma once

#include <cstdint>
#include <filesystem>

namespace lapwing::agent {

/// Threads: one object is used from one thread at a time.
class Ballast {
 public:
  /// `folder`/outbox.ballast with `bytes`; 0: none, and a file of an earlier start is removed.
  Ballast(const std::filesystem::path& folder, std::uint64_t bytes);

  /// Allocates the file where it is missing, if at least as much stays free beside it. false: there
  /// is no room for it.
  bool take();
  /// Gives its space back. false: there was none.
  bool release();
  [[nodiscard]] bool held() const noexcept { return held_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  const std::filesystem::path path_;
  const std::uint64_t bytes_;
  bool held_ = false;
};

}  // namespace lapwing::agent
