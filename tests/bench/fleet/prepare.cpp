// SPDX-License-Identifier: Apache-2.0
#include "hub/config.hpp"
#include "shared/base/config.hpp"
#include "shared/trust/authority.hpp"
#include "tests/bench/fleet/hub_store.hpp"
#include "tests/bench/fleet/members.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <vector>

namespace lapwing::fleet {
namespace {

constexpr Micros kLifetime = std::chrono::hours(24 * 30);

/// bench-00042: as many digits for all, so that names sort as numbers do.
std::string device_name(const std::string& prefix, std::size_t number) {
  std::array<char, 24> digits{};
  std::snprintf(digits.data(), digits.size(), "%05zu", number);
  return prefix + digits.data();
}

}  // namespace

Result<std::unique_ptr<hub::Store>> open_hub_store(const std::filesystem::path& hub_dir) {
  auto document = config::Document::load(hub_dir / "hub.toml", config::process_environment());
  auto root = document.root();
  const auto config = hub::HubConfig::read(root);
  if (const auto problems = document.finish(); !problems.empty()) {
    return Error{Errc::bad_config, problems.front().text()};
  }
  return hub::open_store(config.store, config.data_dir);
}

Result<Members> prepare(const Preparation& wanted, Time at) {
  auto store = open_hub_store(wanted.hub_dir);
  if (!store) return store.error();
  auto authority = trust::Authority::load(wanted.hub_dir / "ca.pem", wanted.hub_dir / "ca.key");
  if (!authority) return authority.error();
  auto key = trust::PrivateKey::generate();
  if (!key) return key.error();
  auto own = trust::Certificate::from_pem(authority->certificate().pem());
  if (!own) return own.error();
  Members members{.tenant = wanted.tenant,
                  .made = at,
                  .authority = *std::move(own),
                  .key = *std::move(key),
                  .all = {}};
  std::vector<hub::DeviceRegistration> registrations;
  for (std::size_t i = 0; i < wanted.devices; ++i) {
    const std::string device = device_name(wanted.prefix, i);
    auto certificate = authority->issue_client(
        members.key, wire::to_string({wanted.tenant, device}), {.now = at, .lifetime = kLifetime});
    if (!certificate) return certificate.error();
    const auto info = certificate->info();
    registrations.push_back({.key = {wanted.tenant, device},
                             .enrolled_at = at,
                             .certificate_serial = info.serial,
                             .certificate_expires = info.not_after});
    members.all.push_back(
        {.device = device, .certificate = *std::move(certificate), .position = {}});
  }
  if (auto done = (*store)->register_devices(registrations); !done) return done.error();
  return members;
}

}  // namespace lapwing::fleet
