// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/queue.hpp"

#include <utility>

namespace lapwing::hub {
namespace {

/// What a message costs beside its bytes.
constexpr std::uint64_t kOverheadBytes = 128;

std::uint64_t cost(std::string_view topic, std::string_view payload) {
  return topic.size() + payload.size() + kOverheadBytes;
}

}  // namespace

bool IngestQueue::put(std::string_view topic, std::string_view payload, Time received_at) {
  const auto bytes = cost(topic, payload);
  {
    const std::scoped_lock lock(mutex_);
    if (closed_ || waiting_.size() >= messages_max_ || bytes_ + bytes > bytes_max_) return false;
    waiting_.push_back({std::string(topic), std::string(payload), received_at});
    bytes_ += bytes;
  }
  filled_.notify_one();
  return true;
}

std::vector<UpMessage> IngestQueue::take(Micros wait, std::uint64_t bytes_max) {
  std::vector<UpMessage> taken;
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return closed_ || !waiting_.empty(); };
#if defined(__SANITIZE_THREAD__)  // g++ 12's does not know the monotonic wait
  filled_.wait_until(lock, std::chrono::system_clock::now() + wait, ready);
#else
  filled_.wait_for(lock, wait, ready);
#endif
  std::uint64_t taken_bytes = 0;
  while (!waiting_.empty()) {
    const auto bytes = cost(waiting_.front().topic, waiting_.front().payload);
    if (!taken.empty() && taken_bytes + bytes > bytes_max) break;
    taken_bytes += bytes;
    taken.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  bytes_ -= taken_bytes;
  return taken;
}

void IngestQueue::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  filled_.notify_all();
}

bool IngestQueue::closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

std::size_t IngestQueue::messages() const {
  const std::scoped_lock lock(mutex_);
  return waiting_.size();
}

std::uint64_t IngestQueue::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

}  // namespace lapwing::hub
