// SPDX-License-Identifier: Apache-2.0
/// A connection to a database, whichever engine it is: statements prepared once, arguments in
/// order, and the first failure kept, so that a run of statements is checked once at its end.
///
/// Statements are written in what SQLite and PostgreSQL have in common, with `?` (in order) or `?3`
/// (by number) for arguments. `sqlite::Connection` and `postgres::Connection` are the engines.
#pragma once

#include "shared/base/result.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lapwing::sql {

/// Bytes to bind as they are. Borrowed for the call.
struct Blob {
  std::string_view bytes;
};

/// One argument of a statement. Borrows text and bytes.
class Value {
 public:
  enum class Kind : std::uint8_t { null, integer, number, text, blob };

  template <std::integral T>
  Value(T value) : kind_(Kind::integer), integer_(static_cast<std::int64_t>(value)) {}
  template <std::floating_point T>
  Value(T value) : kind_(Kind::number), number_(value) {}
  template <class T>
  requires std::convertible_to<const T&, std::string_view> Value(const T& value)
      : kind_(Kind::text), bytes_(value) {}
  Value(Blob value) : kind_(Kind::blob), bytes_(value.bytes) {}
  template <class T>
  Value(const std::optional<T>& value) : Value(value ? Value(*value) : Value()) {}
  Value() = default;

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::int64_t integer() const noexcept { return integer_; }
  [[nodiscard]] double number() const noexcept { return number_; }
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }  ///< of text and blob

 private:
  Kind kind_ = Kind::null;
  union {
    std::int64_t integer_ = 0;
    double number_;
  };
  std::string_view bytes_;
};

/// The row a query is at. Valid only inside the callback.
class Row {
 public:
  /// NULL is 0.
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual double number(int column) const = 0;  ///< NULL is NaN
  [[nodiscard]] virtual std::string_view view(int column) const = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] std::uint64_t count(int column) const {
    return static_cast<std::uint64_t>(integer(column));
  }
  [[nodiscard]] std::string text(int column) const { return std::string(view(column)); }

 protected:
  ~Row() = default;
};

/// What an engine keeps of each statement, by its text.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};
template <class Statement>
using Statements = std::unordered_map<std::string, Statement, TextHash, std::equal_to<>>;

/// After a failure every call does nothing until clear_failure(): results before failed() was asked
/// may be incomplete.
/// Threads: one object is used from one thread at a time.
class Connection {
 public:
  using EachRow = std::function<void(const Row&)>;

  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one statement to its end. Rows changed; 0 after a failure.
  template <class... Arguments>
  std::int64_t run(std::string_view sql, const Arguments&... arguments) {
    const std::array<Value, sizeof...(Arguments)> values{Value(arguments)...};
    return failed() ? 0 : execute(sql, values, nullptr);
  }
  /// Calls `each` for every row.
  template <class... Arguments>
  void rows(std::string_view sql, const EachRow& each, const Arguments&... arguments) {
    const std::array<Value, sizeof...(Arguments)> values{Value(arguments)...};
    if (!failed()) execute(sql, values, &each);
  }
  void rows(std::string_view sql, const EachRow& each, std::span<const Value> arguments) {
    if (!failed()) execute(sql, arguments, &each);
  }
  /// As run(), where nobody waits for the outcome: a distant engine sends many at once. Later
  /// statements see what it changed; its failure shows at sync() or commit() at the latest.
  template <class... Arguments>
  void post(std::string_view sql, const Arguments&... arguments) {
    const std::array<Value, sizeof...(Arguments)> values{Value(arguments)...};
    if (!failed()) enqueue(sql, values, nullptr);
  }
  /// As rows(), in the manner of post(): `each` is called before sync() returns.
  template <class... Arguments>
  void later(std::string_view sql, EachRow each, const Arguments&... arguments) {
    const std::array<Value, sizeof...(Arguments)> values{Value(arguments)...};
    if (!failed()) enqueue(sql, values, std::move(each));
  }
  /// Waits for everything posted.
  virtual void sync() {}

  /// Begins a transaction. One that reads sees one committed state; one that writes holds what it
  /// changes from others. A connection that was lost is made anew.
  enum class Access : std::uint8_t { read, write };
  virtual void begin(Access access) = 0;
  /// Durable when it returns without failure.
  void commit();
  /// Ends the transaction, without its changes, and forgets the failure.
  void rollback() noexcept;

  /// begin(), `work`, commit(); or, when anything failed, rollback() and why.
  Result<void> transaction(Access access, const std::function<void()>& work);

  /// Several statements without arguments, separated by semicolons.
  virtual void script(std::string_view sql) = 0;

  [[nodiscard]] bool failed() const noexcept { return failure_.has_value(); }
  [[nodiscard]] const Error& failure() const { return *failure_; }
  void fail(Error error) {
    if (!failure_) failure_ = std::move(error);
  }
  void clear_failure() noexcept { failure_.reset(); }

 protected:
  Connection() = default;
  /// Rows changed. `each` may be null: nobody wants the rows.
  virtual std::int64_t execute(std::string_view sql, std::span<const Value> arguments,
                               const EachRow* each) = 0;
  virtual void enqueue(std::string_view sql, std::span<const Value> arguments, EachRow each) {
    execute(sql, arguments, each ? &each : nullptr);
  }

 private:
  std::optional<Error> failure_;
};

}  // namespace lapwing::sql
