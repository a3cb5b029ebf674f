// SPDX-License-Identifier: Apache-2.0
/// Raw messages copied into one block of bytes, so that taking one in is a copy and no allocation.
#pragma once

#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lapwing::agent {

struct RawMessage {
  std::string_view topic;
  std::string_view payload;  ///< followed by kPayloadPadding readable bytes
  Time received{};
};

/// Messages in order of arrival.
///
/// Bound: the caller's: it looks at bytes() and size() before adding. One batch holds below 4 GiB.
/// Threads: distinct objects are safe.
class MessageBatch {
 public:
  void add(std::string_view topic, std::string_view payload, Time received);
  /// Keeps the memory for the next round, unless it grew beyond `keep_bytes`.
  void clear(std::size_t keep_bytes = std::size_t{1} << 20U);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return used_ + entries_.size() * sizeof(Entry); }
  [[nodiscard]] RawMessage at(std::size_t index) const {
    const Entry& entry = entries_[index];
    return {{bytes_.data() + entry.offset, entry.topic_bytes},
            {bytes_.data() + entry.offset + entry.topic_bytes, entry.payload_bytes},
            entry.received};
  }

 private:
  struct Entry {
    std::uint32_t offset;
    std::uint32_t topic_bytes;
    std::uint32_t payload_bytes;
    Time received;
  };
  std::vector<char> bytes_;  ///< used_ bytes and at least kPayloadPadding more
  std::size_t used_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace lapwing::agent
