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

/// Bounded in messages and bytes. At the bound the newest is refused: an agent sends what is not
/// acknowledged again, so nothing is lost, only later.
/// Threads: a shared object is safe; one or more put, one takes.
class IngestQueue {
 public:
  IngestQueue(std::size_t messages_max, std::uint64_t bytes_max)
      : messages_max_(messages_max), bytes_max_(bytes_max) {}

  /// false: full or closed, the message was refused.
  bool put(std::string_view topic, std::string_view payload, Time received_at);
  /// Waits for messages until `wait` has passed or close(). Everything waiting, oldest first, up to
  /// `bytes_max` bytes but at least one message; empty when there were none.
  std::vector<UpMessage> take(Micros wait, std::uint64_t bytes_max);
  /// Refuses further messages and wakes take(), which still hands out what waits.
  void close();

  [[nodiscard]] bool closed() const;
  [[nodiscard]] std::size_t messages() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  const std::size_t messages_max_;
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;  // a condition variable on the path of every message
  std::condition_variable filled_;
  std::deque<UpMessage> waiting_;  ///< guarded by mutex_, as are the two below
  std::uint64_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace lapwing::hub
