// SPDX-License-Identifier: Apache-2.0
/// What the benchmark programs share: processes, a broker, a cheap publisher, scraping, the table.
///
/// Everything here stops the benchmark with a message when it fails: a figure is measured or
/// missing.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace lapwing::bench {

/// Prints the reason and exits with 1; children started by this process are killed first.
[[noreturn]] void give_up(std::string_view why);

/// A fresh folder below the system's temporary one, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path put(const std::string& name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

[[nodiscard]] std::uint16_t free_port();

/// A child process, killed with its object. Its output goes to `log`.
class Child {
 public:
  static Child run(const std::vector<std::string>& command, const std::filesystem::path& log);
  /// Runs `body` in a forked copy of this process, which exits when it returns.
  static Child fork_with(const std::function<void()>& body);

  Child(Child&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  Child& operator=(Child&&) = delete;
  ~Child();

  /// SIGTERM, SIGKILL after ten seconds; the exit status as of waitpid.
  int stop();
  /// Waits for its own end; the exit status as of waitpid.
  int wait();
  [[nodiscard]] bool alive();
  [[nodiscard]] double cpu_seconds() const;
  [[nodiscard]] std::uint64_t resident_bytes() const;

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

/// mosquitto on 127.0.0.1 with its defaults, anonymous, or with `settings` instead.
class Broker {
 public:
  explicit Broker(const Folder& folder, std::string_view settings = "allow_anonymous true\n");
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Child& process() { return process_; }

 private:
  std::uint16_t port_;
  Child process_;
};

/// Waits until something listens; gives up after `seconds`.
void wait_for_port(std::uint16_t port, double seconds = 20);
void wait_until(const std::function<bool()>& done, double seconds, std::string_view what);
void sleep_for(double seconds);
[[nodiscard]] double seconds_now();

struct Packet {
  std::string topic;
  std::string payload;
};

/// Publishes packets made once, over and over, cheaper than any subscriber can take them.
/// `rate` messages a second, evenly each millisecond; 0: as fast as the broker takes them.
/// Never returns of itself unless `count` > 0 messages are sent. Raises `sent` by what it
/// published.
void publish_forever(std::uint16_t port, const std::vector<Packet>& packets, int qos, double rate,
                     std::uint64_t count, volatile std::uint64_t* sent);

/// Memory that forked children share.
[[nodiscard]] volatile std::uint64_t* shared_counter();

/// Body of a GET on 127.0.0.1, empty when there is no answer with status 200.
[[nodiscard]] std::string http_get(std::uint16_t port, std::string_view path);
/// Sum of a metric over its labels; those whose labels hold `labels` only.
[[nodiscard]] double metric(std::string_view text, std::string_view name,
                            std::string_view labels = {});

/// One row: `figure | target | measured`; remembers whether the target is met.
void row(std::string_view figure, std::string_view target, std::string_view measured, bool met);
void table_head();
[[nodiscard]] std::string format(const char* pattern, double value);

[[nodiscard]] double median(std::vector<double> values);
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace lapwing::bench
