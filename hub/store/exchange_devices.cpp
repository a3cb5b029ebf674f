// SPDX-License-Identifier: Apache-2.0
/// Devices and their accounts, as other regions tell them.
#include "hub/store/sql_certificates.hpp"
#include "hub/store/sql_exchange.hpp"

#include <map>
#include <tuple>
#include <utility>

namespace lapwing::hub {
namespace {

std::optional<std::int64_t> micros(const std::optional<Time>& time) {
  if (!time) return std::nullopt;
  return to_micros(*time);
}

struct Known {
  std::int64_t device_no = 0;
  ExchangedDevice registration;
};

std::optional<Time> instant(const sql::Row& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_micros(row.integer(column));
}

/// The rows' devices that are known here, locked.
std::map<std::string, Known> known_devices(const Taking& t, std::span<const ExchangedRow> rows,
                                           const std::string& (*name)(const ExchangedRow&)) {
  std::map<std::string, Known> wanted;  // in the order in which ingest locks them
  for (const auto& row : rows) wanted.try_emplace(name(row));
  std::map<std::string, Known> known;
  for (const auto& entry : wanted) {
    const auto& device = entry.first;
    t.db.later(
        std::string("SELECT device_no, enrolled_at, certificate_serial, certificate_expires,"
                    " revoked_at FROM devices WHERE tenant_no=? AND device=?")
            .append(t.writer.locking()),
        [&known, device](const sql::Row& row) {
          known[device] = {
              row.integer(0),
              {device, from_micros(row.integer(1)), row.text(2), instant(row, 3), instant(row, 4)}};
        },
        t.tenant_no, device);
  }
  t.db.sync();
  return known;
}

/// A later enrolment; of the same a revocation; else a certificate that lasts longer.
bool replaces(const ExchangedDevice& told, const ExchangedDevice& known) {
  const auto rank = [](const ExchangedDevice& d) {
    return std::tuple(d.enrolled_at, d.revoked_at.has_value(), d.certificate_expires);
  };
  return rank(told) > rank(known);
}

/// What the broker here has to know of: who its certificates let in, and who not any more. The
/// peer does not tell which authority signed; one that did not has no such number.
void take_certificate(const Taking& t, const ExchangedDevice& told, const ExchangedDevice* known) {
  if (known == nullptr || told.enrolled_at > known->enrolled_at) {
    replace_certificates(t.db, t.tenant_no,
                         {.key = {{}, told.device},
                          .enrolled_at = told.enrolled_at,
                          .certificate_serial = told.certificate_serial,
                          .certificate_expires = told.certificate_expires});
  } else if (told.certificate_expires && told.certificate_serial != known->certificate_serial) {
    keep_certificate(t.db, t.tenant_no,
                     {.key = {{}, told.device},
                      .serial = told.certificate_serial,
                      .issued_at = told.enrolled_at,
                      .expires_at = *told.certificate_expires});
  }
  if (told.revoked_at) {
    revoke_certificates(t.db, t.tenant_no, told.device, *told.revoked_at, "revoked");
  }
}

}  // namespace

Result<Merged> take_devices(const Taking& t, std::span<const ExchangedRow> rows) {
  auto known = known_devices(t, rows, [](const ExchangedRow& row) -> const std::string& {
    return std::get<ExchangedDevice>(row).device;
  });
  if (t.db.failed()) return t.db.failure();
  Merged taken;
  for (const auto& row : rows) {
    const auto& told = std::get<ExchangedDevice>(row);
    const auto at = known.find(told.device);
    if (at != known.end() && !replaces(told, at->second.registration)) {
      ++taken.known;
      continue;
    }
    ++taken.changed;
    take_certificate(t, told, at == known.end() ? nullptr : &at->second.registration);
    if (at == known.end()) {
      Known made{.device_no = 0, .registration = told};
      t.db.rows(
          "INSERT INTO devices(tenant_no, device_no, device, enrolled_at, certificate_serial,"
          " certificate_expires, revoked_at, peer_no) VALUES(?1, (SELECT coalesce(max(device_no), "
          "0)"
          " + 1 FROM devices), ?2, ?3, ?4, ?5, ?6, ?7) RETURNING device_no",
          [&](const sql::Row& got) { made.device_no = got.integer(0); }, t.tenant_no, told.device,
          to_micros(told.enrolled_at), told.certificate_serial, micros(told.certificate_expires),
          micros(told.revoked_at), t.peer_no);
      known.emplace(told.device, std::move(made));
      continue;
    }
    t.db.post(
        "UPDATE devices SET enrolled_at=?1, certificate_serial=?2, certificate_expires=?3,"
        " revoked_at=?4 WHERE tenant_no=?5 AND device_no=?6",
        to_micros(told.enrolled_at), told.certificate_serial, micros(told.certificate_expires),
        micros(told.revoked_at), t.tenant_no, at->second.device_no);
    if (told.revoked_at) {
      t.db.post("UPDATE devices SET online=0 WHERE tenant_no=? AND device_no=?", t.tenant_no,
                at->second.device_no);
    }
    at->second.registration = told;
  }
  return taken;
}

Result<Merged> take_ledgers(const Taking& t, std::span<const ExchangedRow> rows) {
  const auto known = known_devices(t, rows, [](const ExchangedRow& row) -> const std::string& {
    return std::get<ExchangedLedger>(row).device;
  });
  if (t.db.failed()) return t.db.failure();
  Merged taken;
  for (const auto& row : rows) {
    const auto& l = std::get<ExchangedLedger>(row);
    const auto at = known.find(l.device);
    if (at == known.end()) {
      if (!t.pass_unknown) return Error{Errc::not_found, "there is no device " + l.device};
      ++taken.unknown_devices;
      continue;
    }
    ++taken.changed;
    const auto device_no = at->second.device_no;
    t.db.post(
        "INSERT INTO peer_devices(tenant_no, device_no, peer_no, online, quarantined, last_seen,"
        " agent_version, epoch, watermark, stored, lost_quota, lost_corrupt, lost_vanished,"
        " lost_poison, outstanding, streams, readings_total, outbox_records, outbox_bytes,"
        " quarantined_total, elsewhere)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)"
        " ON CONFLICT(tenant_no, device_no, peer_no) DO UPDATE SET online=?4, quarantined=?5,"
        " last_seen=?6, agent_version=?7, epoch=?8, watermark=?9, stored=?10, lost_quota=?11,"
        " lost_corrupt=?12, lost_vanished=?13, lost_poison=?14, outstanding=?15, streams=?16,"
        " readings_total=?17, outbox_records=?18, outbox_bytes=?19, quarantined_total=?20,"
        " elsewhere=?21",
        t.tenant_no, device_no, t.peer_no, l.status == DeviceStatus::online,
        l.status == DeviceStatus::quarantined, micros(l.last_seen), l.agent_version, l.epoch,
        l.watermark, l.ledger.stored, l.ledger.lost.quota, l.ledger.lost.corrupt,
        l.ledger.lost.vanished, l.ledger.lost.poison, l.ledger.outstanding, l.streams,
        l.readings_total, l.outbox_records, l.outbox_bytes, l.quarantined_total,
        l.ledger.elsewhere);
    t.db.post(
        "UPDATE devices SET peer_no=?1 WHERE tenant_no=?2 AND device_no=?3 AND peer_no <> ?1"
        " AND coalesce((SELECT r.last_seen FROM peer_devices r WHERE r.tenant_no=?2"
        " AND r.device_no=?3 AND r.peer_no=devices.peer_no), 0) < ?4",
        t.peer_no, t.tenant_no, device_no, micros(l.last_seen).value_or(0));
  }
  return taken;
}

}  // namespace lapwing::hub
