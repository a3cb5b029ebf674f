// SPDX-License-Identifier: Apache-2.0
/// Other programs in tests: started with their output in files, ended with their object.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace lapwing::testing {

inline constexpr auto kPatience = std::chrono::seconds(30);

/// A fresh folder that goes, with everything in it, with its object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes a file into it.
  std::filesystem::path put(const std::string& name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

/// Asks until the answer is true or the time is over; for outside processes, which send no event.
bool eventually(const std::function<bool()>& question,
                std::chrono::milliseconds patience = kPatience);

/// Whether something accepts TCP connections at 127.0.0.1.
bool accepts(std::uint16_t port);

/// A started program. SIGKILL at the latest when the object or this process ends.
class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  /// `argv[0]` is looked up in PATH and /usr/sbin. Output goes to fresh files. Throws when it
  /// cannot be started.
  explicit Process(std::vector<std::string> argv, const Environment& environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t id() const { return id_; }
  [[nodiscard]] bool running();
  void signal(int number) const;
  void kill();
  /// SIGTERM and wait; SIGKILL when that takes too long. The exit code.
  int stop(std::chrono::milliseconds patience = kPatience);
  /// Waits for its own end: the exit code, 128 + signal when a signal ended it, nullopt while it
  /// still runs.
  std::optional<int> wait(std::chrono::milliseconds patience = kPatience);
  /// Waits until its output has `text` in it.
  bool wait_for(std::string_view text, std::chrono::milliseconds patience = kPatience);

  /// What it wrote so far.
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;

 private:
  TempDir folder_;
  pid_t id_ = -1;
  std::optional<int> exit_;
};

}  // namespace lapwing::testing
