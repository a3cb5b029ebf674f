// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_store.hpp"

#include "hub/store/lists_text.hpp"
#include "hub/store/sql_ingest.hpp"
#include "hub/store/sync_text.hpp"

#include <string>

namespace lapwing::hub {
std::optional<std::int64_t> make_tenant(sql::Connection& db, std::string_view tenant) {
  db.run("INSERT INTO tenants(tenant) VALUES(?) ON CONFLICT DO NOTHING", tenant);
  return reads::tenant_number(db, tenant);
}

Result<std::unique_ptr<IngestTransaction>> SqlStore::begin_ingest(std::size_t lane) {
  return SqlIngest::begin(access_.writer(lane));
}

Result<void> SqlStore::check() {
  return access_.read([](sql::Connection& db) -> Result<void> {
    db.rows("SELECT value FROM meta LIMIT 1", [](const sql::Row&) {});
    if (db.failed()) return db.failure();
    return {};
  });
}

Result<std::uint64_t> SqlStore::mark_silent_offline(Time silent_since) {
  // A device that a transaction of records holds is not silent; to wait for it would stop upkeep.
  auto sql = std::string(
      "UPDATE devices SET online = 0 WHERE (tenant_no, device_no) IN (SELECT tenant_no, device_no"
      " FROM devices WHERE online = 1 AND last_seen < ?1 AND NOT EXISTS (SELECT 1 FROM replicas r"
      " WHERE r.replica = devices.replica AND r.hearing_since > ?1)");
  const auto locking = access_.writer().locking();
  if (!locking.empty()) sql.append(locking).append(" SKIP LOCKED");
  sql += ')';
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    return static_cast<std::uint64_t>(db.run(sql, to_micros(silent_since)));
  });
}

Result<void> SqlStore::register_device(const DeviceRegistration& registration) {
  return register_devices({&registration, 1});
}

Result<void> SqlStore::register_devices(std::span<const DeviceRegistration> registrations) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    for (const auto& r : registrations) {
      if (r.key.tenant.empty() || r.key.device.empty()) {
        return Error{Errc::bad_input, "a device needs a tenant and a name"};
      }
      const auto tenant_no = make_tenant(db, r.key.tenant);
      std::optional<std::int64_t> expires;
      if (r.certificate_expires) expires = to_micros(*r.certificate_expires);
      db.run(
          "INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial,"
          " certificate_expires)"
          " VALUES(?1, (SELECT coalesce(max(device_no), 0) + 1 FROM devices), ?2, ?3, ?4, ?5)"
          " ON CONFLICT(tenant_no, device) DO UPDATE SET enrolled_at=?3, certificate_serial=?4,"
          " certificate_expires=?5, revoked_at=NULL",
          tenant_no, r.key.device, to_micros(r.enrolled_at), r.certificate_serial, expires);
      if (tenant_no) replace_certificates(db, *tenant_no, r);
    }
    return {};
  });
}

Result<void> SqlStore::revoke_device(const DeviceKey& key, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    db.run(
        "UPDATE devices SET revoked_at = coalesce(revoked_at, ?), online = 0"
        " WHERE tenant_no=? AND device_no=?",
        to_micros(at), numbers->tenant_no, numbers->device_no);
    revoke_certificates(db, numbers->tenant_no, key.device, at, "revoked");
    return {};
  });
}

Result<void> SqlStore::release_quarantine(const DeviceKey& key) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    std::string text;
    db.rows(
        "SELECT sync FROM devices WHERE tenant_no=? AND device_no=?",
        [&](const sql::Row& row) { text = row.text(0); }, numbers->tenant_no, numbers->device_no);
    if (db.failed()) return db.failure();
    auto sync = sync_from(text);
    if (!sync) return sync.error();
    sync::release_quarantine(*sync);
    db.run("UPDATE devices SET sync=?, quarantined=0 WHERE tenant_no=? AND device_no=?",
           sync_text(*sync), numbers->tenant_no, numbers->device_no);
    return {};
  });
}

Result<void> SqlStore::label_device(const DeviceKey& key, const Labels& labels) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, key);
    if (!numbers) return numbers.error();
    db.run("UPDATE devices SET labels=? WHERE tenant_no=? AND device_no=?", labels_text(labels),
           numbers->tenant_no, numbers->device_no);
    return {};
  });
}

Result<void> SqlStore::add_token(const TokenRow& token) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    std::optional<std::int64_t> expires;
    if (token.expires_at) expires = to_micros(*token.expires_at);
    std::optional<std::int64_t> revoked;
    if (token.revoked_at) revoked = to_micros(*token.revoked_at);
    const auto tenant_no = make_tenant(db, token.tenant);
    const auto added = db.run("INSERT INTO tokens VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                              tenant_no, token.id, token.name, token.hash, words_text(token.scopes),
                              to_micros(token.created_at), expires, revoked);
    if (!db.failed() && added == 0) return Error{Errc::exists, "token " + token.id + " exists"};
    return {};
  });
}

Result<void> SqlStore::revoke_token(std::string_view tenant, std::string_view id, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto revoked = db.run(
        "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?)"
        " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND id = ?",
        to_micros(at), tenant, id);
    if (!db.failed() && revoked == 0) {
      return Error{Errc::not_found, "there is no token " + std::string(id)};
    }
    return {};
  });
}

Result<void> SqlStore::add_enrolment(const EnrolmentRow& e) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    std::optional<std::int64_t> used;
    if (e.used_at) used = to_micros(*e.used_at);
    const auto tenant_no = make_tenant(db, e.tenant);
    const auto added =
        db.run("INSERT INTO enrolments VALUES(?,?,?,?,?,?) ON CONFLICT DO NOTHING", tenant_no,
               e.hash, e.device, to_micros(e.created_at), to_micros(e.expires_at), used);
    if (!db.failed() && added == 0) return Error{Errc::exists, "this enrolment token exists"};
    return {};
  });
}

Result<EnrolmentRow> SqlStore::consume_enrolment(std::string_view hash, Time at) {
  return access_.change([&](sql::Connection& db) -> Result<EnrolmentRow> {
    std::optional<EnrolmentRow> found;
    db.rows(
        "SELECT n.tenant, e.hash, e.device, e.created_at, e.expires_at, e.used_at"
        " FROM enrolments e JOIN tenants n ON n.tenant_no = e.tenant_no WHERE e.hash = ?",
        [&](const sql::Row& row) {
          found = EnrolmentRow{row.text(0),
                               row.text(1),
                               row.text(2),
                               from_micros(row.integer(3)),
                               from_micros(row.integer(4)),
                               std::nullopt};
          if (!row.is_null(5)) found->used_at = from_micros(row.integer(5));
        },
        hash);
    if (db.failed()) return db.failure();
    if (!found) return Error{Errc::not_found, "there is no such enrolment token"};
    if (found->used_at) {
      return Error{Errc::denied, "the enrolment token was used already; ask for a new one"};
    }
    if (at >= found->expires_at) {
      return Error{Errc::denied, "the enrolment token has expired; ask for a new one"};
    }
    db.run("UPDATE enrolments SET used_at = ? WHERE hash = ?", to_micros(at), hash);
    found->used_at = at;
    return *std::move(found);
  });
}

Result<void> SqlStore::add_audit(const AuditRow& a) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto tenant_no = make_tenant(db, a.tenant);
    db.run(
        "INSERT INTO audit VALUES(?1, (SELECT coalesce(max(number), 0) + 1 FROM audit WHERE"
        " tenant_no = ?1), ?2, ?3, ?4, ?5, ?6)",
        tenant_no, to_micros(a.at), a.actor, a.action, a.subject, a.detail);
    return {};
  });
}

}  // namespace lapwing::hub
