// SPDX-License-Identifier: Apache-2.0
/// One PostgreSQL connection as the hub uses it. libpq inside: prepared statements, binary
/// arguments and results, pipeline mode for what is posted, binary COPY.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::postgres {

struct Options {
  /// `postgresql://user@host:port/database?sslmode=verify-full&sslrootcert=...` or `key=value`
  /// words, as libpq reads them. Passwords belong in `password` or in libpq's own password file.
  std::string url;
  std::optional<Secret<std::string>> password;
  std::string application = "lapwing-hub";  ///< as the server's activity list shows it
  std::string settings;                     ///< further ones of the session: `-c name=value ...`
  Micros connect_timeout = std::chrono::seconds(5);
  /// A statement that takes longer fails. 0: none.
  Micros statement_timeout = std::chrono::seconds(60);
  /// So does one that waits longer for a lock. 0: none.
  Micros lock_timeout = std::chrono::seconds(20);
  /// A transaction in which nothing is asked for so long is ended by the server: a program that
  /// hangs, or was stopped, lets its locks go.
  Micros idle_timeout = std::chrono::seconds(10);
  /// A peer that does not take what is sent is given up after this, by either side; one of which
  /// nothing is heard, while an answer is waited for or the connection is idle, after 20 s.
  Micros network_timeout = std::chrono::seconds(10);
};

/// Text is UTF-8 without zero bytes, as the server demands (bad_input). A number that is not one is
/// NULL, as in SQLite.
/// Errors: io (cannot connect, connection lost, lock or deadlock: retrying may help), denied
///   (password, rights), limit (disk full, too many connections), timeout, corrupt (the schema or
///   the data are not what was written), unsupported.
/// Threads: one object is used from one thread at a time.
class Connection final : public sql::Connection {
 public:
  /// Connects. The server must be version 14 or newer (unsupported).
  static Result<std::unique_ptr<Connection>> open(const Options& options);
  ~Connection() override;

  /// Connects anew where the connection was lost.
  void begin(Access access) override;
  void sync() override;
  void script(std::string_view sql) override;

  /// Appends rows to a table. `copy` is `COPY table(columns) FROM STDIN (FORMAT binary)`; `rows` as
  /// CopyRows makes them. Waits for everything posted first.
  void copy(std::string_view copy, std::string_view rows);

  /// Waits until one of the channels this connection LISTENs to is notified, `timeout` passes, or
  /// `wake` (a descriptor; -1: none) becomes readable. The channels notified, without repetition.
  std::vector<std::string> notifications(Micros timeout, int wake);

  /// `user@host:port/database`, for messages.
  [[nodiscard]] const std::string& name() const noexcept;

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);

  std::int64_t execute(std::string_view sql, std::span<const sql::Value> arguments,
                       const EachRow* each) override;
  void enqueue(std::string_view sql, std::span<const sql::Value> arguments, EachRow each) override;

  std::unique_ptr<Impl> impl_;
};

/// Brings the database to the newest schema, in one transaction that all who migrate wait for (an
/// advisory lock). The table `schema_version` counts the migrations applied.
/// unsupported: it was written by a newer version.
Result<void> migrate(Connection& db, std::span<const std::string_view> migrations);

}  // namespace lapwing::postgres
