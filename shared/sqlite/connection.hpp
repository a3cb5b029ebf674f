// SPDX-License-Identifier: Apache-2.0
/// One SQLite connection as hub and agent use it: statements prepared once, arguments in order, and
/// the first failure kept, so that a run of statements is checked once at its end.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace lapwing::sqlite {

/// Bytes to bind as a BLOB. Borrowed for the call.
struct Blob {
  std::string_view bytes;
};

/// The row a query is at. Valid only inside the callback.
class Row {
 public:
  explicit Row(void* statement) : statement_(statement) {}
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t count(int column) const {
    return static_cast<std::uint64_t>(integer(column));
  }
  [[nodiscard]] double number(int column) const;  ///< NULL is NaN
  [[nodiscard]] std::string_view view(int column) const;
  [[nodiscard]] std::string text(int column) const { return std::string(view(column)); }
  [[nodiscard]] bool is_null(int column) const;

 private:
  void* statement_;
};

/// After a failure every call does nothing until clear_failure(): results before failed() was asked
/// may be incomplete.
/// Threads: one object is used from one thread at a time.
class Connection {
 public:
  using EachRow = std::function<void(const Row&)>;
  struct Options {
    bool read_only = false;
    std::uint64_t cache_bytes = 16U << 20U;
    /// The file stops growing there (with what the write-ahead log holds beyond it): Errc::limit.
    std::uint64_t file_bytes_max = 0;  ///< 0: the disk is the limit
    /// Deleted content is overwritten with zeros: more writes. Off where rows come and go all day.
    bool secure_delete = true;
    int checkpoint_pages = 4000;  ///< write-ahead log pages before they are moved into the file
  };
  /// Opens or creates the file. WAL, synchronous=FULL; every pragma is asked back. Errors: io,
  /// denied, corrupt, limit (disk full).
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path,
                                                  const Options& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one statement to its end. Rows changed; 0 after a failure.
  template <class... Arguments>
  std::int64_t run(std::string_view sql, const Arguments&... arguments) {
    return ready(sql) && bind_all(arguments...) ? finish() : 0;
  }
  /// Calls `each` for every row.
  template <class... Arguments>
  void rows(std::string_view sql, const EachRow& each, const Arguments&... arguments) {
    if (ready(sql) && bind_all(arguments...)) walk(each);
  }
  /// Several statements without arguments, separated by semicolons.
  void script(std::string_view sql);
  [[nodiscard]] std::int64_t last_row() const;

  [[nodiscard]] bool failed() const noexcept { return failure_.has_value(); }
  [[nodiscard]] const Error& failure() const { return *failure_; }
  void fail(Error error) {
    if (!failure_) failure_ = std::move(error);
  }
  void clear_failure() noexcept { failure_.reset(); }

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);

  bool ready(std::string_view sql);
  std::int64_t finish();
  void walk(const EachRow& each);
  void bind_integer(int at, std::int64_t value);
  void bind_number(int at, double value);
  void bind_text(int at, std::string_view value);
  void bind_blob(int at, std::string_view value);
  void bind_null(int at);
  bool bound();

  template <class T>
  void bind(int at, const T& value) {
    if constexpr (std::is_same_v<T, double>) {
      bind_number(at, value);
    } else if constexpr (std::is_integral_v<T>) {
      bind_integer(at, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, Blob>) {
      bind_blob(at, value.bytes);
    } else {
      bind_text(at, value);
    }
  }
  template <class T>
  void bind(int at, const std::optional<T>& value) {
    value ? bind(at, *value) : bind_null(at);
  }
  template <class... Arguments>
  bool bind_all(const Arguments&... arguments) {
    [[maybe_unused]] int at = 0;
    (bind(++at, arguments), ...);
    return bound();
  }

  std::unique_ptr<Impl> impl_;
  std::optional<Error> failure_;
};

/// Brings the database to the newest schema: `user_version` counts the migrations applied, all in
/// one transaction. unsupported: it was written by a newer version.
Result<void> migrate(Connection& db, std::span<const std::string_view> migrations);

}  // namespace lapwing::sqlite
