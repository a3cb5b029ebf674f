// SPDX-License-Identifier: Apache-2.0
/// The store on one machine: one SQLite file in WAL mode, `synchronous=FULL`.
#pragma once

#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace lapwing::hub {

struct SqliteStoreOptions {
  std::size_t readers = 4;  ///< read connections; more readers than these wait, [1, 64]
  std::uint64_t cache_bytes = 64 << 20;  ///< page cache of the writer; readers get a quarter each
  Retention retention;
};

/// Opens or creates the database and migrates it to this version.
/// Errors: io (path, permissions, disk), corrupt (not a database, or fails its quick check),
///   unsupported (written by a newer version). Other processes may write credentials beside it (the
///   command line does); only one may begin ingest transactions.
Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& path,
                                                 const SqliteStoreOptions& options = {});

}  // namespace lapwing::hub
