// SPDX-License-Identifier: Apache-2.0
/// `[[sink]]` of hub.toml.
#pragma once

#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

/// One Kafka topic that records are handed on to. Plain data.
struct SinkConfig {
  enum class Delivery : std::uint8_t {
    after_commit,  ///< waits in the store from the commit on
    before_ack,    ///< devices are answered when Kafka has it
  };
  std::string name = "kafka";  ///< of its spool and metrics: unique, 1 to 64 of A-Z a-z 0-9 . _ -
  std::string brokers;         ///< `host:port,host:port`
  std::string topic;
  std::set<wire::RecordClass> classes{wire::RecordClass::anomaly};
  Delivery delivery = Delivery::after_commit;
  /// before_ack only, [1 s, 8 s]: a transaction waits for it, and PostgreSQL ends one that waits
  /// for ten.
  Micros timeout = std::chrono::seconds(5);
  std::uint64_t spool_rows_max = 1'000'000;       ///< after_commit only, [1000, 1e9]
  std::uint64_t spool_bytes_max = 512ULL << 20U;  ///< likewise, of values, [1 MiB, 1 TiB]
  Micros linger = std::chrono::milliseconds(5);   ///< [0, 1 s]
  std::string compression = "lz4";                ///< none, gzip, snappy, lz4, zstd
  std::string client_id = "lapwing-hub";
  bool tls = false;
  std::filesystem::path ca_file;           ///< PEM; empty: the system's
  std::filesystem::path certificate_file;  ///< PEM; empty: none is shown
  std::filesystem::path key_file;
  std::optional<Secret<std::string>> key_password;
  std::string sasl = "none";  ///< none, plain, scram-sha-256, scram-sha-512
  std::string username;
  std::optional<Secret<std::string>> password;

  static SinkConfig read(config::Section& section);
};

/// All of them. Names are unique.
std::vector<SinkConfig> read_sinks(config::Section& root);

}  // namespace lapwing::hub
