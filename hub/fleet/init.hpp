// SPDX-License-Identifier: Apache-2.0
/// Makes a new hub's folder: authority, certificates, broker and hub configuration, first token.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// The hub's own name on its broker; no device can have it, as theirs contain a slash.
inline constexpr std::string_view kHubUser = "lapwing-hub";

struct InitOptions {
  std::filesystem::path directory;
  /// Another hub's folder (or any with ca.pem and ca.key), whose authority this hub takes: so do
  /// replicas, as a device must find each of them trustworthy and be trusted by each. Empty: a new
  /// authority is made.
  std::filesystem::path authority;
  std::string tenant = "default";
  /// Names and addresses under which devices and people reach this hub; the first is told to
  /// devices. Loopback names are always added to the certificate.
  std::vector<std::string> hosts;
  std::string mqtt_listen = "127.0.0.1";
  std::uint16_t mqtt_port = 8883;
  std::uint16_t public_port = 0;  ///< of the broker as devices reach it; 0: mqtt_port
  std::string http_listen = "127.0.0.1";
  std::uint16_t http_port = 8443;
  std::string store_url;  ///< of a PostgreSQL database; empty: SQLite in the folder
  std::filesystem::path store_password_file;  ///< its password; named in hub.toml, not copied
  bool run_as_root = false;  ///< mosquitto gives up root unless it is told to keep it
};

struct Initialised {
  std::vector<std::filesystem::path> files;
  /// Shown once. Absent where the store has a usable admin token of the tenant already.
  std::optional<Secret<std::string>> admin_token;
};

/// Writes ca.pem, ca.key, server.pem, server.key (broker and HTTP), hub.pem, hub.key (the hub's own
/// client), crl.pem (nothing revoked), acl, mosquitto.conf, hub.db (without a store elsewhere) and,
/// last, hub.toml. Keys have mode 0600. What exists is never overwritten, and a failure leaves
/// nothing behind. Errors: exists (the folder holds a hub already), bad_input (tenant, host,
/// address, path; an authority that has expired or whose key is another's), not_found (no authority
/// there), denied, limit, io.
Result<Initialised> init(const InitOptions& options, Time at);

/// The broker's configuration: TLS with client certificates only, one identity per certificate,
/// bounded queues and packets.
[[nodiscard]] std::string mosquitto_conf(const InitOptions& options);
/// Who may write and read what: each device its own `up/` and `down/`, the hub the other ends.
[[nodiscard]] std::string mosquitto_acl();
[[nodiscard]] std::string hub_toml(const InitOptions& options);

}  // namespace lapwing::hub
