// SPDX-License-Identifier: Apache-2.0
#include "hub/ingest/queue.hpp"

#include <functional>
#include <utility>

namespace lapwing::hub {
namespace {

/// What a message costs beside its bytes.
constexpr std::uint64_t kOverheadBytes = 128;

std::uint64_t cost(std::string_view topic, std::string_view payload) {
  return topic.size() + payload.size() + kOverheadBytes;
}

/// `tenant/device` of a topic; of one that is none of the protocol anything will do.
std::string_view identity_in(std::string_view topic) {
  constexpr std::string_view kPrefix = "lapwing/v1/";
  if (topic.starts_with(kPrefix)) topic.remove_prefix(kPrefix.size());
  return topic.substr(0, topic.find("/up/"));
}

}  // namespace

std::size_t lane_of(std::string_view identity, std::size_t lanes) {
  return lanes < 2 ? 0 : std::hash<std::string_view>{}(identity) % lanes;
}

bool IngestQueue::put(std::string_view topic, std::string_view payload, Time received_at) {
  const auto bytes = cost(topic, payload);
  auto& lane = lanes_[lane_of(identity_in(topic), lanes_.size())];
  {
    const std::scoped_lock lock(mutex_);
    if (closed_ || messages_ >= messages_max_ || bytes_ + bytes > bytes_max_) return false;
    lane.waiting.push_back({std::string(topic), std::string(payload), received_at});
    ++messages_;
    bytes_ += bytes;
  }
  lane.filled.notify_one();
  return true;
}

std::vector<UpMessage> IngestQueue::take(std::size_t lane_no, Micros wait,
                                         std::uint64_t bytes_max) {
  std::vector<UpMessage> taken;
  auto& filled = lanes_[lane_no].filled;
  auto& waiting = lanes_[lane_no].waiting;
  std::unique_lock lock(mutex_);
  const auto ready = [&, this] { return closed_ || !waiting.empty(); };
#if defined(__SANITIZE_THREAD__)  // g++ 12's does not know the monotonic wait
  filled.wait_until(lock, std::chrono::system_clock::now() + wait, ready);
#else
  filled.wait_for(lock, wait, ready);
#endif
  std::uint64_t taken_bytes = 0;
  while (!waiting.empty()) {
    const auto bytes = cost(waiting.front().topic, waiting.front().payload);
    if (!taken.empty() && taken_bytes + bytes > bytes_max) break;
    taken_bytes += bytes;
    taken.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  messages_ -= taken.size();
  bytes_ -= taken_bytes;
  return taken;
}

void IngestQueue::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  for (auto& lane : lanes_) lane.filled.notify_all();
}

bool IngestQueue::ended(std::size_t lane) const {
  const std::scoped_lock lock(mutex_);
  return closed_ && lanes_[lane].waiting.empty();
}

bool IngestQueue::closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

std::size_t IngestQueue::messages() const {
  const std::scoped_lock lock(mutex_);
  return messages_;
}

std::uint64_t IngestQueue::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

}  // namespace lapwing::hub
