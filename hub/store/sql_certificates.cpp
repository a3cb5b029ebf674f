// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_certificates.hpp"

#include "hub/store/reads.hpp"

#include <limits>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kChanges = "revocations";
constexpr std::string_view kCrlNumber = "crl_number";

void count_up(sql::Connection& db, std::string_view counter) {
  db.run(
      "INSERT INTO meta(key, value) VALUES(?, 1) ON CONFLICT(key) DO UPDATE SET value = meta.value"
      " + 1",
      counter);
}

std::uint64_t counted(sql::Connection& db, std::string_view counter) {
  std::uint64_t value = 0;
  db.rows(
      "SELECT value FROM meta WHERE key = ?", [&](const sql::Row& row) { value = row.count(0); },
      counter);
  return value;
}

}  // namespace

void keep_certificate(sql::Connection& db, std::int64_t tenant_no, const CertificateRow& c) {
  db.run(
      "INSERT INTO certificates(tenant_no, device, serial, authority, key_hash, pem, issued_at,"
      " expires_at) VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(tenant_no, device, serial) DO UPDATE SET"
      " revoked_at = NULL, reason = '', expires_at = excluded.expires_at",
      tenant_no, c.key.device, c.serial, c.authority, c.key_hash, c.pem, to_micros(c.issued_at),
      to_micros(c.expires_at));
}

void replace_certificates(sql::Connection& db, std::int64_t tenant_no,
                          const DeviceRegistration& r) {
  revoke_certificates(db, tenant_no, r.key.device, r.enrolled_at, "superseded");
  if (r.certificate_serial.empty()) return;
  keep_certificate(db, tenant_no,
                   {.key = r.key,
                    .serial = r.certificate_serial,
                    .authority = r.certificate_authority,
                    .key_hash = {},
                    .pem = {},
                    .issued_at = r.enrolled_at,
                    .expires_at = r.certificate_expires.value_or(from_micros(kNever))});
}

void revoke_certificates(sql::Connection& db, std::int64_t tenant_no, std::string_view device,
                         Time at, std::string_view reason) {
  const auto revoked = db.run(
      "UPDATE certificates SET revoked_at = ?, reason = ?"
      " WHERE tenant_no = ? AND device = ? AND revoked_at IS NULL AND expires_at > ?",
      to_micros(at), reason, tenant_no, device, to_micros(at));
  if (revoked > 0) count_up(db, kChanges);
}

Result<void> SqlCertificates::add(const CertificateRow& c) {
  return access_.change([&](sql::Connection& db) -> Result<void> {
    const auto numbers = reads::device_numbers(db, c.key);
    if (!numbers) return numbers.error();
    std::uint64_t good = 0;
    db.rows(
        "SELECT count(*) FROM certificates WHERE tenant_no = ? AND device = ? AND revoked_at IS"
        " NULL AND expires_at > ?",
        [&](const sql::Row& row) { good = row.count(0); }, numbers->tenant_no, c.key.device,
        to_micros(c.issued_at));
    if (db.failed()) return db.failure();
    if (good >= kCertificatesMax) {
      return Error{Errc::limit, "the device has " + std::to_string(good) +
                                    " certificates that still hold; revoke it and enrol it again"};
    }
    const auto renewed = db.run(
        "UPDATE devices SET certificate_serial = ?, certificate_expires = ?"
        " WHERE tenant_no = ? AND device_no = ? AND revoked_at IS NULL",
        c.serial, to_micros(c.expires_at), numbers->tenant_no, numbers->device_no);
    if (!db.failed() && renewed == 0) return Error{Errc::denied, "the device is revoked"};
    keep_certificate(db, numbers->tenant_no, c);
    return {};
  });
}

Result<std::optional<CertificateRow>> SqlCertificates::answer_to(const DeviceKey& key,
                                                                 std::string_view key_hash,
                                                                 Time at) {
  return access_.read([&](sql::Connection& db) -> Result<std::optional<CertificateRow>> {
    std::optional<CertificateRow> found;
    db.rows(
        "SELECT c.serial, c.authority, c.pem, c.issued_at, c.expires_at FROM certificates c"
        " JOIN tenants n ON n.tenant_no = c.tenant_no WHERE n.tenant = ? AND c.device = ?"
        " AND c.key_hash = ? AND c.revoked_at IS NULL AND c.expires_at > ?"
        " ORDER BY c.issued_at DESC LIMIT 1",
        [&](const sql::Row& row) {
          found = CertificateRow{.key = key,
                                 .serial = row.text(0),
                                 .authority = row.text(1),
                                 .key_hash = std::string(key_hash),
                                 .pem = row.text(2),
                                 .issued_at = from_micros(row.integer(3)),
                                 .expires_at = from_micros(row.integer(4))};
        },
        key.tenant, key.device, key_hash, to_micros(at));
    if (db.failed()) return db.failure();
    return found;
  });
}

Result<std::uint64_t> SqlCertificates::changes() {
  return access_.read([](sql::Connection& db) -> Result<std::uint64_t> {
    const auto value = counted(db, kChanges);
    if (db.failed()) return db.failure();
    return value;
  });
}

Result<RevokedCertificates> SqlCertificates::revoked(Time at) {
  return access_.read([&](sql::Connection& db) -> Result<RevokedCertificates> {
    RevokedCertificates list{.changes = counted(db, kChanges), .entries = {}};
    db.rows(
        "SELECT n.tenant, c.device, c.serial, c.authority, c.revoked_at, c.reason"
        " FROM certificates c JOIN tenants n ON n.tenant_no = c.tenant_no"
        " WHERE c.revoked_at IS NOT NULL AND c.expires_at > ? ORDER BY c.serial",
        [&](const sql::Row& row) {
          list.entries.push_back({.key = {row.text(0), row.text(1)},
                                  .serial = row.text(2),
                                  .authority = row.text(3),
                                  .at = from_micros(row.integer(4)),
                                  .reason = row.text(5)});
        },
        to_micros(at));
    if (db.failed()) return db.failure();
    return list;
  });
}

Result<std::uint64_t> SqlCertificates::next_crl_number() {
  return access_.change([](sql::Connection& db) -> Result<std::uint64_t> {
    count_up(db, kCrlNumber);
    return counted(db, kCrlNumber);
  });
}

Result<std::vector<AuthorityUse>> SqlCertificates::authorities() {
  return access_.read([](sql::Connection& db) -> Result<std::vector<AuthorityUse>> {
    std::vector<AuthorityUse> uses;
    db.rows(
        "SELECT coalesce(c.authority, ''), count(*) FROM devices d LEFT JOIN certificates c"
        " ON c.tenant_no = d.tenant_no AND c.device = d.device AND c.serial = d.certificate_serial"
        " WHERE d.revoked_at IS NULL AND d.certificate_serial <> '' GROUP BY coalesce(c.authority, "
        "'') ORDER BY 1",
        [&](const sql::Row& row) {
          uses.push_back({row.text(0), row.count(1)});
        });
    if (db.failed()) return db.failure();
    return uses;
  });
}

Result<std::vector<DeviceKey>> SqlCertificates::online_with_another(std::string_view authority,
                                                                    const DeviceKey& after,
                                                                    std::size_t limit) {
  return access_.read([&](sql::Connection& db) -> Result<std::vector<DeviceKey>> {
    std::vector<DeviceKey> devices;
    db.rows(
        "SELECT n.tenant, d.device FROM devices d JOIN tenants n ON n.tenant_no = d.tenant_no"
        " LEFT JOIN certificates c ON c.tenant_no = d.tenant_no AND c.device = d.device"
        " AND c.serial = d.certificate_serial WHERE d.online = 1 AND d.revoked_at IS NULL"
        " AND d.certificate_serial <> ''"
        " AND coalesce(c.authority, '') <> ? AND (n.tenant, d.device) > (?, ?)"
        " ORDER BY n.tenant, d.device LIMIT ?",
        [&](const sql::Row& row) {
          devices.push_back({row.text(0), row.text(1)});
        },
        authority, after.tenant, after.device, static_cast<std::int64_t>(limit));
    if (db.failed()) return db.failure();
    return devices;
  });
}

Result<std::uint64_t> SqlCertificates::forget(Time expired) {
  return access_.change([&](sql::Connection& db) -> Result<std::uint64_t> {
    return static_cast<std::uint64_t>(db.run(
        "DELETE FROM certificates WHERE (tenant_no, device, serial) IN (SELECT tenant_no, device,"
        " serial FROM certificates WHERE expires_at < ? LIMIT 1000)",
        to_micros(expired)));
  });
}

}  // namespace lapwing::hub
