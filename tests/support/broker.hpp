// SPDX-License-Identifier: Apache-2.0
/// A real mosquitto for tests: on 127.0.0.1, on a free port, in a fresh folder, killed with its
/// object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace lapwing::testing {

/// A port nothing listens on.
[[nodiscard]] std::uint16_t free_port();

class Broker {
 public:
  /// Configured, not started. `settings` are lines of mosquitto.conf after the listener; the folder
  /// is made first, so that they may name files put there with put().
  explicit Broker(std::string_view settings = "allow_anonymous true\n");
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// Starts it and waits until it listens; false when it ended by itself (see log()).
  [[nodiscard]] bool start();
  /// SIGTERM: it saves what it persists.
  void stop();
  /// SIGKILL.
  void kill();
  /// SIGSTOP: its connections stay and it says nothing more, as one that vanished.
  void freeze() const;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  /// Replaces the settings for the next start.
  void configure(std::string_view settings);
  std::filesystem::path put(const std::string& name, std::string_view text) const;
  [[nodiscard]] std::string log() const;

 private:
  void end(int signal);

  std::uint16_t port_;
  std::filesystem::path folder_;
  pid_t process_ = -1;
};

}  // namespace lapwing::testing
