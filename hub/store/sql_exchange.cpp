// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_exchange.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::string_view kCompleteKind = "";  ///< stands beside the kinds: when all was taken

std::string_view name_of(ExchangeKind kind) {
  return kExchangeKinds[static_cast<std::size_t>(kind)];
}

/// The region's number; it is made when there is none.
std::int64_t make_peer(sql::Connection& db, std::string_view region) {
  std::int64_t number = 0;
  db.run(
      "INSERT INTO peers(peer_no, peer) VALUES((SELECT coalesce(max(peer_no), 0) + 1 FROM peers), "
      "?)"
      " ON CONFLICT DO NOTHING",
      region);
  db.rows(
      "SELECT peer_no FROM peers WHERE peer = ?",
      [&](const sql::Row& row) { number = row.integer(0); }, region);
  return number;
}

void keep(const Taking& t, std::string_view kind, std::string_view cursor) {
  t.db.run(
      "INSERT INTO peer_cursors(tenant_no, peer_no, kind, cursor, kept_at) VALUES(?1,?2,?3,?4,?5)"
      " ON CONFLICT(tenant_no, peer_no, kind) DO UPDATE SET cursor=?4, kept_at=?5",
      t.tenant_no, t.peer_no, kind, cursor, to_micros(t.at));
}

Error no_such_tenant(std::string_view tenant) {
  return {Errc::not_found, "there is no tenant " + std::string(tenant)};
}

}  // namespace

Result<ExportPage> SqlExchange::page(std::string_view tenant, ExchangeKind kind,
                                     const ExportRequest& request) {
  return access_.read([&](sql::Connection& db) -> Result<ExportPage> {
    switch (kind) {
      case ExchangeKind::devices:
        return reads::export_devices(db, tenant, request);
      case ExchangeKind::ledgers:
        return reads::export_ledgers(db, tenant, request);
      case ExchangeKind::anomalies:
        break;
    }
    return reads::export_anomalies(db, tenant, request);
  });
}

Result<Merged> SqlExchange::take(const Peer& peer, ExchangeKind kind,
                                 std::span<const ExchangedRow> rows,
                                 const std::optional<std::string>& cursor, bool pass_unknown,
                                 Time at) {
  for (const auto& row : rows) {
    if (row.index() != static_cast<std::size_t>(kind)) {
      return Error{Errc::bad_input, "a row is not of the kind " + std::string(name_of(kind))};
    }
  }
  return access_.change([&](sql::Connection& db) -> Result<Merged> {
    const auto tenant_no = make_tenant(db, peer.tenant);
    if (!tenant_no) return db.failed() ? db.failure() : no_such_tenant(peer.tenant);
    const Taking taking{db, access_.writer(), *tenant_no, make_peer(db, peer.region), pass_unknown,
                        at};
    auto taken = kind == ExchangeKind::devices   ? take_devices(taking, rows)
                 : kind == ExchangeKind::ledgers ? take_ledgers(taking, rows)
                                                 : take_anomalies(taking, rows);
    if (taken && cursor) keep(taking, name_of(kind), *cursor);
    return taken;
  });
}

Result<std::string> SqlExchange::cursor(const Peer& peer, ExchangeKind kind) {
  return access_.read([&](sql::Connection& db) -> Result<std::string> {
    std::string cursor;
    db.rows(
        "SELECT c.cursor FROM peer_cursors c JOIN peers p ON p.peer_no = c.peer_no"
        " WHERE c.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND p.peer = ?"
        " AND c.kind = ?",
        [&](const sql::Row& row) { cursor = row.text(0); }, peer.tenant, peer.region,
        name_of(kind));
    if (db.failed()) return db.failure();
    return cursor;
  });
}

Result<void> SqlExchange::complete(const Peer& peer, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, peer.tenant);
    if (!tenant_no) return db.failed() ? db.failure() : no_such_tenant(peer.tenant);
    keep({db, access_.writer(), *tenant_no, make_peer(db, peer.region), false, at}, kCompleteKind,
         "");
    return {};
  });
}

Result<std::vector<RegionRow>> SqlExchange::regions(std::string_view tenant) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<RegionRow>> {
    std::vector<RegionRow> regions;
    db.rows(
        "SELECT p.peer, max(CASE WHEN c.kind = '' THEN c.kept_at END) FROM peer_cursors c"
        " JOIN peers p ON p.peer_no = c.peer_no"
        " WHERE c.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
        " GROUP BY p.peer ORDER BY p.peer",
        [&](const sql::Row& row) {
          std::optional<Time> complete;
          if (!row.is_null(1)) complete = from_micros(row.integer(1));
          regions.push_back({row.text(0), complete});
        },
        tenant);
    if (db.failed()) return db.failure();
    return regions;
  });
}

Result<std::vector<std::pair<std::string, ExchangedLedger>>> SqlExchange::ledgers(
    const DeviceKey& key) {
  return access_.read([&](sql::Connection& db) { return reads::region_ledgers(db, key); });
}

}  // namespace lapwing::hub
