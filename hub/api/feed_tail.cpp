// SPDX-License-Identifier: Apache-2.0
#include "hub/api/feed_tail.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {

void FeedTail::append(std::uint64_t seq, std::string device, std::string_view event) {
  make_room(event.size());
  end_ = seq;
  if (event.size() > bytes_max_) {
    begin_ = seq;
    return;
  }
  events_.push_back({seq, appended(), std::move(device)});
  bytes_ += event;
}

void FeedTail::complete(std::uint64_t position) { end_ = std::max(end_, position); }

/// Removes a quarter at once: what stays is moved to the front each time.
void FeedTail::make_room(std::size_t wanted) {
  if (bytes_.size() + wanted <= bytes_max_) return;
  const auto keep = std::min(bytes_max_ - std::min(wanted, bytes_max_), bytes_max_ / 4 * 3);
  const auto from = appended() - std::min(keep, bytes_.size());
  while (!events_.empty() && events_.front().offset < from) {
    begin_ = events_.front().seq;
    events_.pop_front();
  }
  const auto first = events_.empty() ? appended() : events_.front().offset;
  bytes_.erase(0, first - dropped_);
  dropped_ = first;
}

FeedTail::Piece FeedTail::after(std::uint64_t position, const std::optional<std::string>& device,
                                std::size_t bytes_max) const {
  Piece piece;
  std::string bytes;
  auto at = std::ranges::upper_bound(events_, position, {}, &Event::seq);
  const auto offset_of = [&](auto one) { return one == events_.end() ? appended() : one->offset; };
  const auto text = [&](std::uint64_t from, std::uint64_t to) {
    return std::string_view(bytes_).substr(from - dropped_, to - from);
  };
  const auto first = at;
  if (!device) {
    const auto limit = offset_of(first) + bytes_max;
    at = std::ranges::lower_bound(first, events_.end(), limit, {}, &Event::offset);
    bytes = text(offset_of(first), offset_of(at));
    piece.events = static_cast<std::size_t>(at - first);
  }
  for (; device && at != events_.end() && bytes.size() < bytes_max; ++at) {
    if (at->device != *device) continue;
    bytes += text(at->offset, offset_of(std::next(at)));
    ++piece.events;
  }
  piece.more = at != events_.end();
  piece.position = piece.more ? std::prev(at)->seq : end_;
  piece.position = std::max(position, piece.position);
  piece.bytes = std::make_shared<const std::string>(std::move(bytes));
  return piece;
}

}  // namespace lapwing::hub
