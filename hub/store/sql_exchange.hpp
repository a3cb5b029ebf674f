// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/exchange.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlExchange final : public Exchange {
 public:
  explicit SqlExchange(SqlAccess& access) : access_(access) {}

  Result<ExportPage> page(std::string_view tenant, ExchangeKind kind,
                          const ExportRequest& request) override;
  Result<Merged> take(const Peer& peer, ExchangeKind kind, std::span<const ExchangedRow> rows,
                      const std::optional<std::string>& cursor, bool pass_unknown,
                      Time at) override;
  Result<std::string> cursor(const Peer& peer, ExchangeKind kind) override;
  Result<void> complete(const Peer& peer, Time at) override;
  Result<std::vector<RegionRow>> regions(std::string_view tenant) override;
  Result<std::vector<std::pair<std::string, ExchangedLedger>>> ledgers(
      const DeviceKey& key) override;

 private:
  SqlAccess& access_;
};

// --- inside of the exchange
// ------------------------------------------------------------------------

namespace reads {
Result<ExportPage> export_devices(sql::Connection& db, std::string_view tenant,
                                  const ExportRequest& request);
Result<ExportPage> export_ledgers(sql::Connection& db, std::string_view tenant,
                                  const ExportRequest& request);
Result<ExportPage> export_anomalies(sql::Connection& db, std::string_view tenant,
                                    const ExportRequest& request);
Result<std::vector<std::pair<std::string, ExchangedLedger>>> region_ledgers(sql::Connection& db,
                                                                            const DeviceKey& key);
}  // namespace reads

/// One transaction in which rows of a region are taken.
struct Taking {
  sql::Connection& db;
  Writer& writer;
  std::int64_t tenant_no;
  std::int64_t peer_no;
  bool pass_unknown;
  Time at;
};
Result<Merged> take_devices(const Taking& taking, std::span<const ExchangedRow> rows);
Result<Merged> take_ledgers(const Taking& taking, std::span<const ExchangedRow> rows);
Result<Merged> take_anomalies(const Taking& taking, std::span<const ExchangedRow> rows);

}  // namespace lapwing::hub
