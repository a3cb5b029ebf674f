// SPDX-License-Identifier: Apache-2.0
/// Hears of other replicas' commits, on a connection and a thread of its own.
#pragma once

#include "shared/base/result.hpp"
#include "shared/postgres/connection.hpp"

#include <functional>
#include <memory>
#include <string>

namespace lapwing::hub {

/// Looks when the channel is notified, after each new connection, and every two seconds besides.
/// A database that is away is waited for. Ends, with its thread, when destroyed.
class PostgresListener {
 public:
  /// On the listener's thread. After a failed statement it just returns.
  using Look = std::function<void(sql::Connection&)>;

  /// `channel`: a plain name. `what`: for the log, when it fails. Errors: of the first connection.
  static Result<std::unique_ptr<PostgresListener>> start(const postgres::Options& options,
                                                         std::string channel, std::string what,
                                                         Look look);
  virtual ~PostgresListener() = default;
  PostgresListener(const PostgresListener&) = delete;
  PostgresListener& operator=(const PostgresListener&) = delete;

 protected:
  PostgresListener() = default;
};

}  // namespace lapwing::hub
