// SPDX-License-Identifier: Apache-2.0
#include "hub/store/feed.hpp"

#include <utility>

namespace lapwing::hub {

Feed::Subscription::Subscription(Subscription&& other) noexcept
    : feed_(std::exchange(other.feed_, nullptr)), id_(other.id_) {}

Feed::Subscription& Feed::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    reset();
    feed_ = std::exchange(other.feed_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Feed::Subscription::reset() {
  if (feed_ != nullptr) std::exchange(feed_, nullptr)->remove(id_);
}

Feed::Subscription Feed::listen(Listener listener) {
  const MutexLock lock(mutex_);
  const auto id = next_id_++;
  listeners_.emplace(id, std::move(listener));
  return {this, id};
}

void Feed::grew(std::uint64_t newest_seq) {
  const MutexLock lock(mutex_);
  for (const auto& [id, listener] : listeners_) listener(newest_seq);
}

void Feed::remove(std::uint64_t id) {
  const MutexLock lock(mutex_);
  listeners_.erase(id);
}

}  // namespace lapwing::hub
