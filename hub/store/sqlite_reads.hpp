// SPDX-License-Identifier: Apache-2.0
/// The SQLite store's queries, each on one connection.
///
/// After a call ask the connection whether it failed; until then results may be incomplete.
#pragma once

#include "hub/store/store.hpp"
#include "shared/sqlite/connection.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lapwing::hub::reads {

/// The numbers that stand for a device in the tables.
struct DeviceNumbers {
  std::int64_t tenant_no = 0;
  std::int64_t device_no = 0;
};

std::optional<std::int64_t> tenant_number(sqlite::Connection& db, std::string_view tenant);
Result<DeviceNumbers> device_numbers(sqlite::Connection& db, const DeviceKey& key);

Result<DeviceRow> device(sqlite::Connection& db, const DeviceKey& key);
Result<Page<DeviceRow>> devices(sqlite::Connection& db, std::string_view tenant,
                                const PageRequest& page);
Result<Page<StreamRow>> streams(sqlite::Connection& db, const DeviceKey& key,
                                const PageRequest& page);
Result<Page<LossRow>> losses(sqlite::Connection& db, const DeviceKey& key, const PageRequest& page);
/// The device's losses whose window is known and meets from..to (microseconds), by its begin.
std::vector<LossRow> losses_between(sqlite::Connection& db, const DeviceNumbers& device,
                                    std::int64_t from, std::int64_t to);
Result<History> history(sqlite::Connection& db, const DeviceKey& key, const HistoryQuery& query);
Result<Page<AnomalyRow>> anomalies(sqlite::Connection& db, std::string_view tenant,
                                   const AnomalyFilter& filter, const PageRequest& page);
Result<AnomalyRow> anomaly(sqlite::Connection& db, const DeviceKey& key, std::uint64_t id);
Result<std::vector<FeedRow>> feed(sqlite::Connection& db, std::string_view tenant,
                                  const FeedQuery& query);
Result<FeedBounds> feed_bounds(sqlite::Connection& db, std::string_view tenant);
Result<Page<DeadLetterRow>> dead_letters(sqlite::Connection& db, std::string_view tenant,
                                         const PageRequest& page);
Result<TokenRow> token_by_hash(sqlite::Connection& db, std::string_view hash);
Result<Page<TokenRow>> tokens(sqlite::Connection& db, std::string_view tenant,
                              const PageRequest& page);
Result<Page<AuditRow>> audit(sqlite::Connection& db, std::string_view tenant,
                             const PageRequest& page);
Result<StoreTotals> totals(sqlite::Connection& db);

/// Rows a page may have.
[[nodiscard]] std::size_t page_rows(const PageRequest& page);

}  // namespace lapwing::hub::reads
