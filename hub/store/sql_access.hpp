// SPDX-License-Identifier: Apache-2.0
/// How the parts of a store reach its database: reads on lent connections, changes one at a time.
#pragma once

#include "hub/store/readers.hpp"
#include "hub/store/writer.hpp"
#include "shared/sql/connection.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Threads: a shared one may be used from any threads at once.
class SqlAccess {
 public:
  /// Run at the beginning of a change: one such is under way at a time, over all replicas.
  using Serialize = std::function<void(sql::Connection&)>;

  /// `changes`: a connection for what people change; null: they share the first writer's
  /// and its mutex.
  SqlAccess(std::unique_ptr<Writer> writer, std::unique_ptr<sql::Connection> changes,
            Serialize serialize)
      : changes_(std::move(changes)), serialize_(std::move(serialize)) {
    writers_.push_back(std::move(writer));
  }

  /// Writers that take records in, one a lane. Lanes are added before the store is used.
  [[nodiscard]] std::size_t lanes() const { return writers_.size(); }
  [[nodiscard]] Writer& writer(std::size_t lane = 0) { return *writers_.at(lane); }
  void add_lane(std::unique_ptr<Writer> writer) { writers_.push_back(std::move(writer)); }
  void add_reader(std::unique_ptr<sql::Connection> connection) {
    readers_.add(std::move(connection));
  }

  /// Runs `query`, which sees a connection and returns a Result, on one committed state.
  template <class Query>
  auto read(Query&& query) {
    auto result = readers_.lend(std::forward<Query>(query));
    if (!result && result.error().code == Errc::timeout) {
      // Asked for too much, or the server has too much to do: as any other answer it cannot give.
      result = Error{Errc::io, result.error().context + "; ask for less, or raise query_timeout"};
    }
    return result;
  }

  /// Runs `change` as one durable transaction. It sees a connection and returns a Result; a Result
  /// that is an error, or a failed statement, rolls everything back.
  template <class Change>
  auto change(Change&& change) -> decltype(change(std::declval<sql::Connection&>())) {
    const std::scoped_lock lock(changes_ ? changes_mutex_ : writer().mutex);
    auto& db = changes_ ? *changes_ : writer().db();
    db.clear_failure();
    db.begin(sql::Connection::Access::write);
    if (serialize_) serialize_(db);
    if (db.failed()) {
      auto failure = db.failure();
      db.rollback();
      return failure;
    }
    auto result = change(db);
    if (result && !db.failed()) {
      db.commit();
      if (!db.failed()) return result;
    }
    if (result) result = db.failure();
    db.rollback();
    return result;
  }

 private:
  std::vector<std::unique_ptr<Writer>> writers_;  ///< never empty
  std::mutex changes_mutex_;
  std::unique_ptr<sql::Connection> changes_;
  Serialize serialize_;
  Readers readers_;
};

/// The tenant's number; the tenant is made when there is none.
std::optional<std::int64_t> make_tenant(sql::Connection& db, std::string_view tenant);

}  // namespace lapwing::hub
