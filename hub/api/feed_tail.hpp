// SPDX-License-Identifier: Apache-2.0
/// The newest events of one tenant's live feed, as they go over the line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// Has all events of the tenant after begin() and up to end(), which are positions of the feed.
/// Filled at its end; what is oldest makes room.
///
/// Bound: `bytes_max` of events, and for each its device's name and 48 bytes.
/// Threads: one at a time.
class FeedTail {
 public:
  FeedTail(std::uint64_t begin, std::size_t bytes_max)
      : begin_(begin), end_(begin), bytes_max_(bytes_max) {}

  [[nodiscard]] std::uint64_t begin() const { return begin_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// The next event; `seq` is above end(). One that is larger than the bound leaves the tail empty.
  void append(std::uint64_t seq, std::string device, std::string_view event);
  /// There are no further events up to `position`; one below end() says nothing.
  void complete(std::uint64_t position);

  struct Piece {
    std::shared_ptr<const std::string> bytes;
    std::size_t events = 0;
    std::uint64_t position = 0;  ///< that they reach up to; never below the one asked for
    bool more = false;           ///< there are further ones here
  };
  /// Events after `position`, which is not below begin(), of the device if one is named: whole
  /// ones, as many as begin within `bytes_max`.
  [[nodiscard]] Piece after(std::uint64_t position, const std::optional<std::string>& device,
                            std::size_t bytes_max) const;

 private:
  struct Event {
    std::uint64_t seq = 0;
    std::uint64_t offset = 0;  ///< of its first byte, of all that were ever appended
    std::string device;
  };
  [[nodiscard]] std::uint64_t appended() const { return dropped_ + bytes_.size(); }
  void make_room(std::size_t wanted);

  std::uint64_t begin_;
  std::uint64_t end_;
  std::size_t bytes_max_;
  std::deque<Event> events_;
  std::string bytes_;          ///< of the events, one behind the other
  std::uint64_t dropped_ = 0;  ///< bytes that made room
};

}  // namespace lapwing::hub
