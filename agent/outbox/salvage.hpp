// SPDX-License-Identifier: Apache-2.0
/// Reads what can still be read from a damaged outbox.
#pragma once

#include "agent/outbox/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace lapwing::agent {

/// Calls `take` for every row between the two numbers (excluded) that can be read and whose
/// checksum is right, in order. Steps over pages that cannot be read. Threads: as its connection.
/// Cost: one query per 1000 rows, plus a few for each damaged page.
void salvage_rows(sqlite::Connection& db, std::uint64_t after, std::uint64_t before,
                  const std::function<void(const StoredRow&)>& take);

/// Its loss ranges as far as they can be read, in order.
[[nodiscard]] std::vector<LossRange> salvage_losses(sqlite::Connection& db);

/// Where it stood, if that row is whole.
[[nodiscard]] std::optional<HighWaterMark> salvage_position(sqlite::Connection& db);

}  // namespace lapwing::agent
