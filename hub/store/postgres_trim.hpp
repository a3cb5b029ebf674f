// SPDX-License-Identifier: Apache-2.0
/// Retention in the PostgreSQL store.
#pragma once

#include "hub/store/postgres_partitions.hpp"
#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"

#include <mutex>

namespace lapwing::hub {

/// One bounded pass. Where another replica is at it, nothing is done. History and ledger go by
/// whole days of the hub's time, once all of a day is older than `keep.history`; beyond
/// `keep.history_rows` the oldest days go as well, but never today.
Result<Trimmed> trim_postgres(postgres::Connection& db, std::mutex& mutex, Partitions& partitions,
                              const Retention& keep, Time at);

}  // namespace lapwing::hub
