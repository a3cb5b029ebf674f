// SPDX-License-Identifier: Apache-2.0
/// hub.toml: everything `lapwing-hub serve` is told. `lapwing-hub init` writes the first one.
#pragma once

#include "hub/exchange/peer_config.hpp"
#include "hub/fleet/broker_reload.hpp"
#include "hub/fleet/config.hpp"
#include "hub/ingest/config.hpp"
#include "hub/roles.hpp"
#include "hub/sink/config.hpp"
#include "hub/store/config.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

/// `[mqtt]`: the hub's own broker, as the hub's ingest connects to it and as devices are told to.
struct HubMqttConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8883;               ///< [1, 65535]
  std::filesystem::path ca_file;           ///< PEM; default DATA_DIR/ca.pem
  std::filesystem::path certificate_file;  ///< PEM; default DATA_DIR/hub.pem
  std::filesystem::path key_file;          ///< PEM; default DATA_DIR/hub.key
  BrokerReload reload;  ///< `reload = "pid:FILE"`; default: DATA_DIR/mosquitto.pid
  /// Where devices reach the broker; told to them at enrolment. Default: host and port.
  std::string public_host;
  std::uint16_t public_port = 8883;
};

/// `[http]`: API, page, health and metrics on one listener, `listen = "127.0.0.1:8443"`.
struct HubHttpConfig {
  std::string address = "127.0.0.1";  ///< an IP address of this machine; loopback unless told
  std::uint16_t port =
      8443;         ///< [0, 65535]; 0: any free one, told in the log and in DATA_DIR/http.port
  bool tls = true;  ///< false is refused unless the address is loopback
  std::filesystem::path certificate_file;  ///< PEM chain; default DATA_DIR/server.pem
  std::filesystem::path key_file;          ///< PEM; default DATA_DIR/server.key
};

/// All of hub.toml. Plain data.
struct HubConfig {
  std::filesystem::path data_dir;  ///< `[hub] data_dir`; relative to hub.toml
  Roles roles;                     ///< `[hub] roles`
  /// `[hub] replica`: this process among those of one store. Default: the machine's name and a hash
  /// of data_dir, which stay the same over a restart.
  std::string replica;
  /// `[hub] drain`, [0, 10 min]: how long it goes on after SIGTERM as not ready. Default 5 s, with
  /// SQLite 0: there nobody else could be asked.
  Micros drain{};
  /// `[hub] handoff`, [0, 10 min]: within which time devices leave then; 0: they are not told.
  /// Default likewise.
  Micros handoff{};
  std::string log_level = "info";
  std::string log_format = "logfmt";
  HubMqttConfig mqtt;
  HubHttpConfig http;
  CertificatesConfig certificates;
  ModelsConfig models;
  StoreConfig store;
  IngestConfig ingest;
  std::vector<PeerConfig> peers;                  ///< `[[peer]]`
  std::vector<SinkConfig> sinks;                  ///< `[[sink]]`
  std::size_t job_threads = 1;                    ///< `[jobs] threads`, [0, 16]
  Micros look_every = std::chrono::seconds(1);    ///< `[jobs] look_every`, [50 ms, 5 s]
  Micros keep_jobs = std::chrono::hours(24 * 7);  ///< `[jobs] keep`, [1 h, 10 y]

  static HubConfig read(config::Section& root);
};

}  // namespace lapwing::hub
