// SPDX-License-Identifier: Apache-2.0
/// The store of many replicas: one PostgreSQL database.
#pragma once

#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/postgres/connection.hpp"

#include <chrono>
#include <cstddef>
#include <memory>

namespace lapwing::hub {

struct PostgresStoreOptions {
  postgres::Options connection;
  std::size_t readers = 4;  ///< connections for queries; more readers than these wait, [1, 64]
  Micros query_timeout = std::chrono::seconds(30);  ///< a longer query fails: io
  std::size_t lanes = 1;  ///< ingest transactions at once, each with a connection, [1, 16]
  Retention retention;
};

/// Connects (with readers + lanes + 3 connections) and migrates the database to this version. Any
/// number of processes may do so with one database. Errors: as postgres::Connection::open and
/// postgres::migrate.
Result<std::unique_ptr<Store>> open_postgres_store(const PostgresStoreOptions& options);

}  // namespace lapwing::hub
