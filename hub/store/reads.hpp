// SPDX-License-Identifier: Apache-2.0
/// The store's queries, each on one connection, of any engine.
///
/// After a call ask the connection whether it failed; until then results may be incomplete.
#pragma once

#include "hub/store/store.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace lapwing::hub::reads {

/// The numbers that stand for a device in the tables.
struct DeviceNumbers {
  std::int64_t tenant_no = 0;
  std::int64_t device_no = 0;
};

std::optional<std::int64_t> tenant_number(sql::Connection& db, std::string_view tenant);
Result<DeviceNumbers> device_numbers(sql::Connection& db, const DeviceKey& key);

Result<DeviceRow> device(sql::Connection& db, const DeviceKey& key);
Result<Page<DeviceRow>> devices(sql::Connection& db, std::string_view tenant,
                                const PageRequest& page, const DeviceFilter& filter);
Result<Page<StreamRow>> streams(sql::Connection& db, const DeviceKey& key, const PageRequest& page);
Result<Page<LossRow>> losses(sql::Connection& db, const DeviceKey& key, const PageRequest& page);
/// The device's losses whose window is known and meets from..to (microseconds), by its begin.
std::vector<LossRow> losses_between(sql::Connection& db, const DeviceNumbers& device,
                                    std::int64_t from, std::int64_t to);
/// The history key's minute of an instant in microseconds; rounds down before 1970 too.
[[nodiscard]] constexpr std::int64_t minute_of(std::int64_t us) noexcept {
  constexpr std::int64_t kMinute = 60'000'000;
  return us / kMinute - (us % kMinute < 0 ? 1 : 0);
}

/// One stream's history points, in whatever way the engine keeps them. Appends to `out` points with
/// from <= begin < to (microseconds) until it holds `limit`: forward oldest first, backward newest
/// first.
class StreamPoints {
 public:
  virtual ~StreamPoints() = default;
  virtual void forward(std::int64_t from, std::int64_t to, std::size_t limit,
                       std::vector<HistoryPoint>& out) = 0;
  virtual void backward(std::int64_t from, std::int64_t to, std::size_t limit,
                        std::vector<HistoryPoint>& out) = 0;
};
/// The columns of `history` that history_point() reads, from the first on.
inline constexpr std::string_view kPointColumns =
    " begin_us, end_us, readings, value_min, value_mean, value_max, score_mean, score_max,"
    " expected, lower, upper ";
[[nodiscard]] HistoryPoint history_point(const sql::Row& row);

using OpenStream = std::function<std::unique_ptr<StreamPoints>(
    sql::Connection& db, const DeviceNumbers& device, std::int64_t stream_no)>;
Result<History> history(sql::Connection& db, const OpenStream& open, const DeviceKey& key,
                        const HistoryQuery& query);
Result<Page<AnomalyRow>> anomalies(sql::Connection& db, std::string_view tenant,
                                   const AnomalyFilter& filter, const PageRequest& page);
Result<AnomalyRow> anomaly(sql::Connection& db, const DeviceKey& key, std::uint64_t id);
Result<std::vector<FeedRow>> feed(sql::Connection& db, std::string_view tenant,
                                  const FeedQuery& query);
Result<FeedBounds> feed_bounds(sql::Connection& db, std::string_view tenant);
Result<Page<DeadLetterRow>> dead_letters(sql::Connection& db, std::string_view tenant,
                                         const PageRequest& page);
Result<TokenRow> token_by_hash(sql::Connection& db, std::string_view hash);
Result<Page<TokenRow>> tokens(sql::Connection& db, std::string_view tenant,
                              const PageRequest& page);
Result<Page<AuditRow>> audit(sql::Connection& db, std::string_view tenant, const PageRequest& page);
/// All but `bytes`.
Result<StoreTotals> totals(sql::Connection& db);

/// Rows a page may have.
[[nodiscard]] std::size_t page_rows(const PageRequest& page);

}  // namespace lapwing::hub::reads
