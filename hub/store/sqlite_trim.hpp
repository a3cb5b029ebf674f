// SPDX-License-Identifier: Apache-2.0
/// Retention in the SQLite store.
#pragma once

#include "hub/store/retention.hpp"
#include "hub/store/sqlite_writer.hpp"
#include "hub/store/store.hpp"

namespace lapwing::hub {

/// One bounded pass, as several short transactions between which ingest gets its turn.
Result<Trimmed> trim_sqlite(SqliteWriter& writer, const Retention& keep, Time at);

}  // namespace lapwing::hub
