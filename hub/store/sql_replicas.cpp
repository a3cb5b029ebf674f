// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_replicas.hpp"

namespace lapwing::hub {
namespace {

constexpr Micros kForget = std::chrono::hours(24 * 7);

}  // namespace

Result<void> SqlReplicas::beat(const ReplicaRow& row) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    db.run(
        "INSERT INTO replicas(replica, hearing_since, heard_at) VALUES(?1, ?2, ?3)"
        " ON CONFLICT(replica) DO UPDATE SET hearing_since=?2, heard_at=?3",
        row.replica, to_micros(row.hearing_since), to_micros(row.heard_at));
    db.run("DELETE FROM replicas WHERE heard_at < ?", to_micros(row.heard_at - kForget));
    return {};
  });
}

Result<std::vector<ReplicaRow>> SqlReplicas::list() {
  return access_.read([](sql::Connection& db) -> Result<std::vector<ReplicaRow>> {
    std::vector<ReplicaRow> rows;
    db.rows(
        "SELECT replica, hearing_since, heard_at FROM replicas ORDER BY replica",
        [&](const sql::Row& row) {
          rows.push_back({row.text(0), from_micros(row.integer(1)), from_micros(row.integer(2))});
        });
    if (db.failed()) return db.failure();
    return rows;
  });
}

Result<std::vector<DeviceKey>> SqlReplicas::devices_of(std::string_view replica,
                                                       std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<DeviceKey>> {
    std::vector<DeviceKey> keys;
    db.rows(
        "SELECT t.tenant, d.device FROM devices d JOIN tenants t USING(tenant_no)"
        " WHERE d.online = 1 AND d.replica = ? LIMIT ?",
        [&](const sql::Row& row) {
          keys.push_back({row.text(0), row.text(1)});
        },
        replica, limit);
    if (db.failed()) return db.failure();
    return keys;
  });
}

Result<bool> SqlReplicas::take_lease(std::string_view name, std::string_view holder, Time at,
                                     Micros length) {
  return access_.change([&](sql::Connection& db) -> Result<bool> {
    return db.run(
               "INSERT INTO leases(name, holder, until) VALUES(?1, ?2, ?3)"
               " ON CONFLICT(name) DO UPDATE SET holder=?2, until=?3"
               " WHERE leases.holder = ?2 OR leases.until <= ?4",
               name, holder, to_micros(at + length), to_micros(at)) > 0;
  });
}

Result<void> SqlReplicas::release_lease(std::string_view name, std::string_view holder) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    db.run("DELETE FROM leases WHERE name = ? AND holder = ?", name, holder);
    return {};
  });
}

}  // namespace lapwing::hub
