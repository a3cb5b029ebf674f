// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/rotation.hpp"

#include "shared/base/files.hpp"
#include "shared/base/ids.hpp"
#include "shared/trust/authority.hpp"

#include <array>

namespace lapwing::hub {
namespace {

namespace fs = std::filesystem;

constexpr Micros kAuthorityLife = std::chrono::hours(24 * 365 * 10);
constexpr Micros kOwnLife = std::chrono::hours(24 * 365 * 5);

/// `Lapwing authority of acme 1f2e3d4c`: names differ, so that people can tell them apart.
std::string new_name(std::string name) {
  constexpr std::size_t kMark = 8;
  if (const auto mark = name.rfind(' ');
      mark != std::string::npos && name.size() - mark == 9 &&
      name.find_first_not_of("0123456789abcdef", mark + 1) == std::string::npos) {
    name.resize(mark);
  }
  name.resize(std::min(name.size(), trust::kCommonNameMax - kMark - 1));
  return name + ' ' + random_id().substr(0, kMark);
}

Result<void> write_key(const fs::path& file, const trust::PrivateKey& key) {
  return write_file_atomic(file, key.pem().reveal(), 0600);
}

Result<bool> renew(const fs::path& folder, const std::string& name, const Authorities& authorities,
                   const trust::Authority& signer, bool all, Time at) {
  const auto file = folder / (name + ".pem");
  const auto certificate = trust::Certificate::load(file);
  if (!certificate) return certificate.error();
  const auto info = certificate->info();
  bool ours = false;
  for (const auto& one : authorities.all()) {  // expired or not
    ours = ours || trust::verify(*certificate, one.certificate(), info.not_after - Micros(1),
                                 trust::Purpose::any)
                       .has_value();
  }
  const bool due = at >= info.not_before + (info.not_after - info.not_before) * 2 / 3;
  if (!ours || (!due && !all)) return false;
  const auto key = trust::PrivateKey::load(folder / (name + ".key"));
  if (!key) return key.error();
  const trust::Validity validity{.now = at, .lifetime = kOwnLife};
  const auto made = info.server ? signer.issue_server(*key, info.names, validity)
                                : signer.issue_client(*key, info.common_name, validity);
  if (!made) return made.error();
  if (auto done = write_file_atomic(file, made->pem()); !done) return done.error();
  return true;
}

}  // namespace

Result<void> rotate_authority(const fs::path& folder, Time at) {
  const auto authorities = Authorities::load(folder);
  if (!authorities) return authorities.error();
  const auto& old = authorities->signer();
  const auto put_key = [&]() -> Result<void> {
    std::error_code failed;
    fs::rename(folder / "ca.new.key", folder / "ca.key", failed);
    if (failed) return Error{Errc::io, (folder / "ca.key").string() + ": " + failed.message()};
    return {};
  };
  std::error_code failed;
  if (authorities->all().size() > 1) {
    if (fs::exists(folder / "ca.new.key", failed)) return put_key();  // it was broken off there
    return Error{Errc::exists, (folder / "ca.old.pem").string() +
                                   ": an authority is being replaced already; `authority retire` "
                                   "ends that"};
  }
  auto next = trust::Authority::create(new_name(old.certificate().info().common_name),
                                       {.now = at, .lifetime = kAuthorityLife});
  if (!next) return next.error();
  // ca.pem decides: before it is replaced all is as it was, afterwards all that is needed is there.
  if (auto done = write_key(folder / "ca.new.key", next->key()); !done) return done;
  if (auto done = write_key(folder / "ca.old.key", old.key()); !done) return done;
  if (auto done = write_file_atomic(folder / "ca.old.pem", old.certificate().pem()); !done) {
    return done;
  }
  if (auto done = write_file_atomic(folder / "ca.pem",
                                    next->certificate().pem() + authorities->bundle_pem());
      !done) {
    return done;
  }
  return put_key();
}

Result<std::vector<AuthorityStatus>> authority_status(const Authorities& authorities,
                                                      Certificates& certificates) {
  const auto uses = certificates.authorities();
  if (!uses) return uses.error();
  std::vector<AuthorityStatus> list;
  for (const auto& one : authorities.all()) {
    const auto info = one.certificate().info();
    list.push_back({.name = info.common_name,
                    .fingerprint = one.certificate().fingerprint(),
                    .expires = info.not_after,
                    .signs = list.empty(),
                    .devices = 0});
  }
  for (const auto& use : *uses) {
    auto* row = &list.back();
    for (auto& one : list) {
      if (one.fingerprint == use.authority) row = &one;
    }
    row->devices += use.devices;
  }
  return list;
}

Result<void> retire_authority(const fs::path& folder, Certificates& certificates, bool force,
                              Time at) {
  const auto authorities = Authorities::load(folder);
  if (!authorities) return authorities.error();
  if (authorities->all().size() < 2) {
    return Error{Errc::not_found, folder.string() +
                                      ": there is one authority only; `authority rotate` makes a "
                                      "new one"};
  }
  const auto status = authority_status(*authorities, certificates);
  if (!status) return status.error();
  std::uint64_t left = 0;
  for (const auto& one : *status) left += one.signs ? 0 : one.devices;
  if (left > 0 && !force) {
    return Error{Errc::denied, std::to_string(left) +
                                   " devices hold certificates of the old authority and would be "
                                   "locked out; wait, revoke them, or add --force"};
  }
  for (const auto* name : {"server", "hub"}) {
    const auto renewed = renew(folder, name, *authorities, authorities->signer(), true, at);
    if (!renewed) return renewed.error();
  }
  if (auto done = write_file_atomic(folder / "ca.pem", authorities->signer().certificate().pem());
      !done) {
    return done;
  }
  std::error_code ignored;  // what is not in ca.pem is not used
  fs::remove(folder / "ca.old.pem", ignored);
  fs::remove(folder / "ca.old.key", ignored);
  return {};
}

Result<std::vector<fs::path>> renew_own_certificates(const fs::path& folder,
                                                     const Authorities& authorities, bool all,
                                                     Time at) {
  std::vector<fs::path> files;
  for (const auto* name : {"server", "hub"}) {
    const auto renewed = renew(folder, name, authorities, authorities.all().back(), all, at);
    if (!renewed) return renewed.error();
    if (*renewed) files.push_back(folder / (std::string(name) + ".pem"));
  }
  return files;
}

}  // namespace lapwing::hub
