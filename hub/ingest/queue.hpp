// SPDX-License-Identifier: Apache-2.0
/// What waits between the broker connection and the store.
#pragma once

#include "shared/base/time.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// A message from a device, as the broker delivered it.
struct UpMessage {
  std::string topic;
  std::string payload;
  Time received_at{};
};

/// The lane of a device's messages, always the same: by a hash of `tenant/device`.
[[nodiscard]] std::size_t lane_of(std::string_view identity, std::size_t lanes);

/// Bounded in messages and bytes, over all lanes. At the bound the newest is refused: an agent
/// sends what is not acknowledged again, so nothing is lost, only later. In a lane messages keep
/// their order; all of a device's are in one.
/// Threads: a shared object is safe; one or more put, one takes from each lane.
class IngestQueue {
 public:
  IngestQueue(std::size_t messages_max, std::uint64_t bytes_max, std::size_t lanes = 1)
      : messages_max_(messages_max), bytes_max_(bytes_max), lanes_(lanes) {}

  /// false: full or closed, the message was refused.
  bool put(std::string_view topic, std::string_view payload, Time received_at);
  /// Waits for messages of the lane until `wait` has passed or close(). Everything waiting there,
  /// oldest first, up to `bytes_max` bytes but at least one message; empty when there were none.
  std::vector<UpMessage> take(std::size_t lane, Micros wait, std::uint64_t bytes_max);
  /// Refuses further messages and wakes take(), which still hands out what waits.
  void close();

  /// Closed, and nothing waits in the lane.
  [[nodiscard]] bool ended(std::size_t lane) const;
  [[nodiscard]] bool closed() const;
  [[nodiscard]] std::size_t messages() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  const std::size_t messages_max_;
  const std::uint64_t bytes_max_;
  struct Lane {
    std::condition_variable filled;
    std::deque<UpMessage> waiting;
  };
  mutable std::mutex mutex_;  // a condition variable on the path of every message
  std::vector<Lane> lanes_;   ///< guarded by mutex_, as are those below; never grows
  std::size_t messages_ = 0;
  std::uint64_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace lapwing::hub
