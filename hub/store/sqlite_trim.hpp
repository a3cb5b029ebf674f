// SPDX-License-Identifier: Apache-2.0
/// Retention in the SQLite store.
#pragma once

#include "hub/store/sqlite_ingest.hpp"
#include "hub/store/sqlite_store.hpp"

namespace lapwing::hub {

/// One bounded pass, as several short transactions between which ingest gets its turn.
Result<Trimmed> trim_sqlite(SqliteWriter& writer, const Retention& keep, Time at);

}  // namespace lapwing::hub
