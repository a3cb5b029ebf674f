// SPDX-License-Identifier: Apache-2.0
/// `[outbox]` of the agent's configuration.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace lapwing::config {
class Section;
}

namespace lapwing::agent {

/// Plain data.
struct OutboxConfig {
  /// Payload bytes kept, [1 MiB, 1 TiB]. At the bound the oldest summaries go first, then the
  /// oldest anomalies; each leaves a loss record.
  std::uint64_t bytes_max = std::uint64_t{256} << 20;
  /// Records gathered into one commit, for at most commit_interval, [0, 10 s].
  std::size_t commit_records_max = 5000;  ///< [1, 100000]
  Micros commit_interval = std::chrono::milliseconds(5);
  /// Records waiting to be committed, [100, 1e6]. At the bound scoring waits; while commits fail
  /// records are given up instead, summaries first, with a loss record.
  std::size_t queue_records_max = 20'000;
  Micros retry_after = std::chrono::milliseconds(500);  ///< after a failed commit; not configurable

  static OutboxConfig read(config::Section section);
};

}  // namespace lapwing::agent
