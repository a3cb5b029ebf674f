// SPDX-License-Identifier: Apache-2.0
/// Reads back what is in PostgreSQL, as the digests of SQLite's rows were made.
#pragma once

#include "hub/migrate/copy.hpp"
#include "hub/migrate/digest.hpp"
#include "hub/migrate/plan.hpp"
#include "shared/sql/connection.hpp"

namespace lapwing::hub::migration {

/// Within a transaction. After them ask the connection whether it failed.
Digest read_back(sql::Connection& target, const Table& table, const Tick& tick);
Digest read_back_ledger(sql::Connection& target, const Tick& tick);
Digest read_back_history(sql::Connection& target, const Tick& tick);

}  // namespace lapwing::hub::migration
