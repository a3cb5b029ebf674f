// SPDX-License-Identifier: Apache-2.0
/// `[uplink]` of the agent's configuration.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

/// `[[uplink.hub]]`: one of several hubs.
struct HubEndpoint {
  std::string host;
  std::uint16_t port = 8883;
  std::uint32_t priority = 1;     ///< [0, 1000]; lower first
  std::filesystem::path ca_file;  ///< PEM; UplinkConfig::ca_file where it is not given
  /// `hub-eu.example:8883`
  [[nodiscard]] std::string name() const { return host + ":" + std::to_string(port); }
};
inline constexpr std::size_t kHubsMax = 16;

/// Plain data. Without a host the agent works alone and keeps its records.
struct UplinkConfig {
  std::string host;                                  ///< of the hub's broker; empty: see `hubs`
  std::uint16_t port = 8883;                         ///< [1, 65535]
  std::vector<HubEndpoint> hubs;                     ///< instead of host and port; at most kHubsMax
  Micros failover_after = std::chrono::seconds(30);  ///< [1 s, 1 h]; see EndpointChooser
  Micros failback_after = std::chrono::minutes(5);   ///< [1 s, 7 d]
  std::filesystem::path ca_file;                     ///< PEM, the hub's authority
  std::filesystem::path certificate_file;            ///< PEM, names this device: <tenant>/<device>
  std::filesystem::path key_file;                    ///< PEM
  std::uint32_t batch_records_max = 500;             ///< [1, 10000]
  std::uint64_t batch_bytes_max = 96 * 1024;         ///< [4 KiB, 1 MiB], before compression
  std::uint64_t pace_bytes_per_second = 0;           ///< [0, 1 GiB]; 0: no limit
  std::uint64_t live_backlog = 2000;                 ///< records, [100, 1e9]
  Micros answer_timeout = std::chrono::seconds(5);   ///< [100 ms, 5 min]
  Micros status_interval = std::chrono::seconds(30);  ///< [1 s, 1 h]
  Micros keep_alive = std::chrono::seconds(20);       ///< [5 s, 10 min]
  Micros reconnect_max = std::chrono::seconds(30);    ///< [1 s, 1 h]

  [[nodiscard]] bool enabled() const { return !host.empty() || !hubs.empty(); }
  /// The hubs, however they were given.
  [[nodiscard]] std::vector<HubEndpoint> endpoints() const;
  static UplinkConfig read(config::Section section);
};

}  // namespace lapwing::agent
