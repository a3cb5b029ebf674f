// SPDX-License-Identifier: Apache-2.0
/// A real PostgreSQL server for tests: on 127.0.0.1, on a free port, in a fresh folder, gone with
/// its object.
#pragma once

#include "tests/support/process.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::testing {

class PostgresServer {
 public:
  /// Makes its files; not started. `settings` are lines of postgresql.conf. Its fsync is off unless
  /// they say otherwise: tests that cut the power are elsewhere.
  explicit PostgresServer(std::string_view settings = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// The one that a test program's tests share; started. Null where none is installed: skip.
  static PostgresServer* shared();
  static bool installed();

  /// Starts it and waits until it answers; false when it ended by itself (see log()).
  [[nodiscard]] bool start();
  /// SIGINT: connections are cut, its files are in order.
  void stop();
  /// SIGQUIT: as `pg_ctl stop -m immediate`; it recovers at the next start.
  void crash();

  /// A fresh, empty database; its URL.
  [[nodiscard]] std::string new_database();
  [[nodiscard]] std::string url(std::string_view database) const;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string log() const;

 private:
  [[nodiscard]] std::vector<std::string> command(const std::string& program) const;
  void end(int signal);

  std::uint16_t port_;
  std::filesystem::path folder_;
  std::unique_ptr<Process> process_;
  int databases_ = 0;
};

}  // namespace lapwing::testing
