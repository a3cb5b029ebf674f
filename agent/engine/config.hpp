// SPDX-License-Identifier: Apache-2.0
/// `[engine]` of the agent's configuration.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

/// Plain data.
struct EngineConfig {
  std::size_t shards = 0;  ///< threads that score, [0, 64]; 0: half the cores, at least one
  std::size_t streams_max = 10'000;  ///< [1, 1e6]; readings of further streams are refused, counted
  /// Readings waiting for one shard, [1000, 1e7]. At the bound the source waits.
  std::size_t queue_readings_max = 100'000;
  Micros summary_interval = std::chrono::seconds(10);   ///< [100 ms, 1 d]
  Micros snapshot_interval = std::chrono::seconds(60);  ///< [1 s, 1 d]

  [[nodiscard]] std::size_t shard_count() const;
  static EngineConfig read(config::Section section);
};

}  // namespace lapwing::agent
