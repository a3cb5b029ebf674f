// SPDX-License-Identifier: Apache-2.0
#include "hub/api/feed_pump.hpp"

#include "hub/api/rows_json.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr auto kStoreRetry = std::chrono::seconds(1);
/// Batches kept for other followers at the same position.
constexpr std::size_t kBatchesMax = 8;

}  // namespace

FeedPump::FeedPump(Store& store, Feed& feed, Metrics& metrics)
    : store_(store),
      events_(metrics.counter("feed_events_total", "Events sent to followers of the live feed")),
      followers_gauge_(metrics.gauge("feed_followers", "Open live feeds")) {
  subscription_ = feed.listen([signal = signal_](std::uint64_t newest) {
    const MutexLock lock(signal->mutex);
    signal->newest = std::max(signal->newest, newest);
    signal->raised = true;
    signal->changed.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

FeedPump::~FeedPump() {
  subscription_.reset();
  {
    const MutexLock lock(signal_->mutex);
    signal_->stopping = true;
    signal_->changed.notify_one();
  }
  thread_.join();
}

void FeedPump::end() {
  const MutexLock lock(signal_->mutex);
  signal_->ending = true;
  signal_->raised = true;
  signal_->changed.notify_one();
}

Result<std::shared_ptr<http::EventStream>> FeedPump::subscribe(const Wanted& wanted) {
  {
    const MutexLock lock(signal_->mutex);
    if (signal_->ending) return Error{Errc::shutting_down, "this hub ends; connect again"};
  }
  const auto bounds = store_.feed_bounds(wanted.tenant);
  if (!bounds) return bounds.error();
  const auto raise = [weak = std::weak_ptr(signal_)] {
    const auto signal = weak.lock();
    if (!signal) return;
    const MutexLock lock(signal->mutex);
    signal->raised = true;
    signal->changed.notify_one();
  };
  auto stream = std::make_shared<http::EventStream>(
      http::EventStream::Options{.on_empty = raise, .on_close = raise});
  std::uint64_t position = wanted.after.value_or(bounds->newest);
  const bool ahead = position > bounds->newest;  // of a store that was set back
  const bool gap = ahead || (bounds->oldest > 0 && position + 1 < bounds->oldest);
  if (ahead) position = bounds->newest;
  stream->push({.id = std::to_string(position), .name = "", .data = ""});
  if (gap) stream->push({.id = "", .name = "gap", .data = ""});
  const MutexLock lock(signal_->mutex);
  signal_->arrived.push_back({.tenant = wanted.tenant,
                              .device = wanted.device,
                              .position = position,
                              .behind = true,
                              .stream = stream});
  signal_->raised = true;
  signal_->changed.notify_one();
  return stream;
}

void FeedPump::run() {
  std::vector<Follower> followers;
  bool store_works = true;
  for (;;) {
    std::uint64_t newest = 0;
    bool ending = false;
    {
      auto& signal = *signal_;
      const MutexLock lock(signal.mutex);
      const auto wanted = [&] { return signal.raised || signal.stopping; };
      if (store_works) {
        signal.changed.wait(signal.mutex, wanted);
      } else {
        signal.changed.wait_for(signal.mutex, kStoreRetry, [&] { return signal.stopping; });
      }
      if (signal.stopping) break;
      signal.raised = false;
      newest = signal.newest;
      ending = signal.ending;
      std::ranges::move(signal.arrived, std::back_inserter(followers));
      signal.arrived.clear();
    }
    std::erase_if(followers, [](const Follower& one) { return one.stream->closed(); });
    if (ending) dismiss(followers);
    followers_gauge_.set(static_cast<double>(followers.size()));
    Batches batches;
    store_works = true;
    for (auto& follower : followers) {
      store_works = serve(follower, newest, batches) && store_works;
    }
  }
  for (auto& follower : followers) follower.stream->close();
}

void FeedPump::dismiss(std::vector<Follower>& followers) {
  for (auto& follower : followers) {
    const auto retry = kRetryMs / 2 + static_cast<std::uint32_t>(random_u64() % kRetryMs);
    follower.stream->push({.id = "", .name = "", .data = "", .retry_ms = retry});
    follower.stream->close();
  }
  followers.clear();
}

bool FeedPump::serve(Follower& follower, std::uint64_t newest, Batches& batches) {
  if (!follower.behind && newest <= follower.position) return true;
  if (follower.stream->waiting_bytes() > 0) return true;  // it calls again when it has room
  const Key key{follower.tenant, follower.device, follower.position};
  auto batch = batches.find(key);
  if (batch == batches.end()) {
    if (batches.size() >= kBatchesMax) batches.clear();
    auto rows =
        store_.feed(follower.tenant,
                    {.after = follower.position, .device = follower.device, .limit = kBatchRows});
    if (!rows) {
      log::warn("the live feed waits for the store", {rows.error()});
      return false;
    }
    batch = batches.emplace(key, Batches::mapped_type{}).first;
    for (const auto& row : *rows) {
      batch->second.emplace_back(row.seq,
                                 http::Event{std::to_string(row.seq), "anomaly", to_json(row)});
    }
  }
  follower.behind = batch->second.size() >= kBatchRows;
  double pushed = 0;
  for (const auto& [seq, event] : batch->second) {
    if (follower.stream->waiting_bytes() >= kWaitingBytes) {
      follower.behind = true;
      break;
    }
    if (!follower.stream->push(event)) return true;
    follower.position = seq;
    ++pushed;
  }
  events_.add(pushed);
  // Rows up to `newest` were committed before the query: those not seen are not for this follower.
  if (!follower.behind) follower.position = std::max(follower.position, newest);
  return true;
}

}  // namespace lapwing::hub
