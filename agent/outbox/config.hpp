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

/// What gives way when the outbox is full. Anomalies go last in any case, and each record given up
/// is inside a loss record.
enum class AtBound : std::uint8_t {
  drop_oldest,  ///< the oldest summaries, then the oldest of any class
  drop_newest,  ///< summaries that come, then the newest stored ones, then the newest of any class
  block,        ///< nothing: scoring waits until the hub has taken some, and sources wait for it
};

/// Plain data.
struct OutboxConfig {
  /// Payload bytes kept, [1 MiB, 1 TiB].
  std::uint64_t bytes_max = std::uint64_t{256} << 20;
  AtBound summaries_at_bound = AtBound::drop_oldest;
  /// Disk space held free for the day the disk is full, [0, 1 GiB]; 0: none.
  std::uint64_t ballast_bytes = std::uint64_t{16} << 20;
  /// Records gathered into one commit, for at most commit_interval, [0, 10 s].
  std::size_t commit_records_max = 5000;  ///< [1, 100000]
  Micros commit_interval = std::chrono::milliseconds(5);
  /// Summaries wait so long in memory for a commit of their own, [0, 10 min]; 0: commit_interval.
  /// What waits is at risk: it is gone when the agent is killed.
  Micros summaries_wait = Micros(0);
  /// Records waiting to be committed, [100, 1e6]. At the bound scoring waits; while commits fail
  /// records are given up instead, as summaries_at_bound says.
  std::size_t queue_records_max = 20'000;
  std::uint64_t queue_bytes_max = std::uint64_t{32} << 20;  ///< likewise, [1 MiB, 1 GiB]
  // Not configurable:
  Micros retry_after = std::chrono::milliseconds(500);  ///< after a failed commit
  Micros room_again = std::chrono::seconds(5);          ///< looks for room after a full disk

  static OutboxConfig read(config::Section section);
};

}  // namespace lapwing::agent
