// SPDX-License-Identifier: Apache-2.0
/// Moves a hub's store from SQLite to PostgreSQL.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/postgres/connection.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace lapwing::hub {

/// How far one table is.
struct MigrationProgress {
  std::string table;
  bool checking = false;      ///< reading back what was copied
  std::uint64_t rows = 0;     ///< done
  std::uint64_t rows_of = 0;  ///< in all
  Micros took{};              ///< since this table's first row
  bool complete = false;      ///< of this table and step
};

struct MigrationRequest {
  std::filesystem::path source;  ///< hub.db; no hub may use it
  postgres::Options target;      ///< its statement, lock and idle timeouts are not used
  Time at{};                     ///< now
  /// Points that are older go to the oldest day that is kept (Retention::history).
  std::chrono::hours history{24 * 30};
  /// Some times a second, and at the end of each table. May be empty.
  std::function<void(const MigrationProgress&)> progress;
};

struct Migrated {
  struct Table {
    std::string name;
    std::uint64_t rows = 0;
  };
  std::vector<Table> tables;   ///< the ledger in records
  std::uint64_t repaired = 0;  ///< texts that were not UTF-8: what was wrong in them is U+FFFD now
  StoreTotals totals;          ///< the same on both sides
  std::string target;          ///< `user@host:port/database`
};

/// Copies everything, reads it back and compares, in one transaction of the target: whenever it
/// ends early, the target is as empty as before and a new run starts over. The source is only read.
///
/// Errors: exists (the target holds a hub already, or another program uses it), unsupported (the
///   source is of another version than this program), corrupt (what was read back is not what was
///   copied), and as both engines.
/// Cost: memory some 20 MiB, whatever the store's size.
Result<Migrated> migrate_to_postgres(const MigrationRequest& request);

}  // namespace lapwing::hub
