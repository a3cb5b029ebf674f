// SPDX-License-Identifier: Apache-2.0
/// How the model desk gets a file that an offer names; the uplink does it.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace lapwing::agent {

/// One transfer at a time. Threads: every function may be called from any thread; `done` is called
/// from any, once for each start(), never from within start() or cancel(), and must not block.
class FileFetch {
 public:
  using Done = std::function<void(Result<void>)>;

  virtual ~FileFetch() = default;
  FileFetch(const FileFetch&) = delete;
  FileFetch& operator=(const FileFetch&) = delete;

  /// Gets `length` bytes whose SHA-256 (64 hex digits) is `sha256` into the file `destination`,
  /// whose folder exists; what lies beside it as `destination`.part is resumed. A transfer under
  /// way is cancelled. `done`: the file is there, durable and of that digest; or why it is not
  /// (shutting_down: cancelled).
  virtual void start(std::string sha256, std::uint64_t length, std::filesystem::path destination,
                     Done done) = 0;
  /// Ends the transfer, if one is under way; what has come stays beside the destination.
  virtual void cancel() = 0;

 protected:
  FileFetch() = default;
};

}  // namespace lapwing::agent
