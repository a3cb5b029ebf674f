// SPDX-License-Identifier: Apache-2.0
/// `[ingest]` of hub.toml.
#pragma once

#include "shared/base/time.hpp"
#include "shared/sync/hub.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace lapwing::config {
class Section;
}

namespace lapwing::hub {

/// Plain data.
struct IngestConfig {
  /// Messages waiting between the broker connection and the store: bytes, [1 MiB, 4 GiB]. At the
  /// bound the newest is dropped and counted; agents send what was not acknowledged again.
  std::uint64_t queue_bytes_max = 64ULL << 20;
  std::size_t queue_messages_max = 20'000;  ///< messages, [16, 1e6]; same rule
  /// Records in one transaction before it commits, [1, 1e6]. More waits for the next one.
  std::size_t commit_records_max = 20'000;
  std::uint32_t batch_records_max = 1'000;     ///< asked of agents per batch, [1, 10000]
  std::uint32_t batch_bytes_max = 128U << 10;  ///< asked of agents per batch, [4 KiB, 1 MiB]
  /// A device not heard of for so long is offline even without a will, [10 s, 7 d].
  Micros silence = std::chrono::minutes(5);
  sync::Region region;  ///< `[hub] region`, `region_name`
  /// How often retention is applied, [1 s, 1 d].
  Micros trim_every = std::chrono::minutes(1);

  /// Not a key of `[ingest]`: this process's name among the store's replicas.
  std::string replica = "hub";

  static IngestConfig read(config::Section& section);
};

}  // namespace lapwing::hub
