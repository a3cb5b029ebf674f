// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/enrolment.hpp"

#include "hub/store/models.hpp"
#include "shared/base/config.hpp"
#include "shared/trust/token.hpp"
#include "shared/wire/topics.hpp"

namespace lapwing::hub {
namespace {

Result<void> check_names(const DeviceKey& key) {
  constexpr std::string_view kAllowed =
      ": 1 to 64 of A-Z a-z 0-9 . _ - are allowed, not starting with a dot";
  if (!wire::valid_name(key.tenant)) {
    return Error{Errc::bad_input, "tenant" + std::string(kAllowed)};
  }
  if (!wire::valid_name(key.device)) {
    return Error{Errc::bad_input, "device" + std::string(kAllowed)};
  }
  if (key.tenant.size() + 1 + key.device.size() > trust::kCommonNameMax) {
    return Error{Errc::bad_input, "device: tenant and device together may have " +
                                      std::to_string(trust::kCommonNameMax - 1) +
                                      " characters, as they must fit a certificate's common name"};
  }
  return {};
}

}  // namespace

Result<NewEnrolment> Enrolment::permit(const DeviceKey& key, Micros lifetime,
                                       std::string_view actor, Time at) {
  if (auto good = check_names(key); !good) return std::move(good).error();
  if (lifetime.count() <= 0 || lifetime > options_.token_lifetime_max) {
    return Error{Errc::bad_input, "expires_in: more than zero and at most " +
                                      config::format_duration(options_.token_lifetime_max) +
                                      " is allowed"};
  }
  NewEnrolment made;
  made.token = trust::make_token();
  made.row = {.tenant = key.tenant,
              .hash = trust::token_hash(made.token.reveal()),
              .device = key.device,
              .created_at = at,
              .expires_at = at + lifetime,
              .used_at = std::nullopt};
  if (auto added = store_.add_enrolment(made.row); !added) return std::move(added).error();
  auto noted = store_.add_audit({.tenant = key.tenant,
                                 .at = at,
                                 .actor = std::string(actor),
                                 .action = "enrolment.create",
                                 .subject = key.device,
                                 .detail = "until " + to_rfc3339(made.row.expires_at)});
  if (!noted) return std::move(noted).error();
  return made;
}

Result<std::string> Enrolment::newest_keys() {
  auto newest = store_.models().newest_keys();
  if (!newest) return newest.error();
  return newest->value_or("");
}

Result<Enrolled> Enrolment::enrol(std::string_view token, std::string_view csr_pem, Time at) {
  const Error unknown{Errc::denied,
                      "the enrolment token is not known here; check that it was copied whole"};
  if (!trust::looks_like_token(token)) return unknown;
  if (auto wished = trust::read_csr(csr_pem); !wished) return std::move(wished).error();
  auto key_list = newest_keys();  // before the token is used up: the store may be away
  if (!key_list) return std::move(key_list).error();
  auto row = store_.consume_enrolment(trust::token_hash(token), at);
  if (!row) return row.error().code == Errc::not_found ? unknown : std::move(row).error();

  const std::string name = wire::to_string(wire::Identity{row->tenant, row->device});
  auto certificate = authority_.issue_device(
      csr_pem, name, {.now = at, .lifetime = options_.certificate_lifetime});
  if (!certificate) return std::move(certificate).error();
  const auto info = certificate->info();
  Enrolled enrolled{.key = {row->tenant, row->device},
                    .certificate_pem = certificate->pem(),
                    .authority_pem = options_.bundle_pem.empty() ? authority_.certificate().pem()
                                                                 : options_.bundle_pem,
                    .certificate_expires = info.not_after,
                    .key_list = *std::move(key_list)};
  auto registered =
      store_.register_device({.key = enrolled.key,
                              .enrolled_at = at,
                              .certificate_serial = info.serial,
                              .certificate_expires = info.not_after,
                              .certificate_authority = authority_.certificate().fingerprint()});
  if (!registered) {
    return within("register the device (its token is used up; ask for a new one)",
                  std::move(registered).error());
  }
  auto noted = store_.add_audit({.tenant = row->tenant,
                                 .at = at,
                                 .actor = "device:" + row->device,
                                 .action = "device.enrol",
                                 .subject = row->device,
                                 .detail = "certificate " + info.serial});
  if (!noted) return std::move(noted).error();
  return enrolled;
}

}  // namespace lapwing::hub
