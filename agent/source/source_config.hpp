// SPDX-License-Identifier: Apache-2.0
/// The `[[source]]` tables of the agent's configuration.
#pragma once

#include "agent/decode/intake.hpp"
#include "agent/source/host_probe.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

enum class SourceKind : std::uint8_t { mqtt, csv, host };

/// kind = "mqtt".
struct MqttSourceConfig {
  std::string host = "127.0.0.1";  ///< from `broker = "mqtt://host:port"`
  std::uint16_t port = 1883;       ///< mqtts:// defaults to 8883
  bool tls = false;
  int version = 5;        ///< 5 or 3 (`"3.1.1"`)
  std::string client_id;  ///< default: lapwing-<agent name>-<source name>
  std::string username;
  std::optional<Secret<std::string>> password;
  std::filesystem::path ca_file;  ///< empty: the system's authorities
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
  int qos = 1;
  bool persistent = true;   ///< the broker keeps messages while the agent is away
  Micros session_expiry{};  ///< how long it does (MQTT 5), default 1 h
  Micros keep_alive{};      ///< default 30 s
  Micros gather{};          ///< messages are decoded together for up to this long, default 20 ms
  std::size_t buffer_bytes =
      0;  ///< raw messages waiting, default 4 MiB; at the bound the broker waits
};

/// kind = "csv".
struct CsvSourceConfig {
  std::filesystem::path file;  ///< `-` is standard input
  bool paced = false;          ///< `pace = "time"`: as the timestamps say; else as fast as possible
  double speed = 1;            ///< with pacing: times real time
};

/// kind = "host".
struct HostSourceConfig {
  Micros interval{};      ///< default 1 s
  std::string hostname;   ///< default: the machine's
  HostProbeConfig probe;  ///< `root`, `groups`, `per_core`
};

/// One `[[source]]`.
struct SourceConfig {
  std::string name;
  SourceKind kind = SourceKind::mqtt;
  IntakeConfig intake;  ///< mqtt: routes with topics; csv: one route
  MqttSourceConfig mqtt;
  CsvSourceConfig csv;
  HostSourceConfig host;

  static SourceConfig read(config::Section& section);
};

/// All `[[source]]` tables of the document's root; names must differ.
[[nodiscard]] std::vector<SourceConfig> read_sources(config::Section& root);

}  // namespace lapwing::agent
