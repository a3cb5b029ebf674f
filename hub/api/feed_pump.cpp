// SPDX-License-Identifier: Apache-2.0
#include "hub/api/feed_pump.hpp"

#include "hub/api/rows_json.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/log.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr auto kStoreRetry = std::chrono::seconds(1);
/// Batches kept for other followers at the same position.
constexpr std::size_t kBatchesMax = 8;
/// Joined events kept for other followers at the same position of a tail.
constexpr std::size_t kPiecesMax = 4;
/// Rows that a tail reads at once; it begins at most so many steps back.
constexpr std::size_t kTailRows = 500;
constexpr std::uint64_t kTailSteps = 2'000;

}  // namespace

FeedPump::FeedPump(Store& store, Feed& feed, Metrics& metrics, std::size_t tail_bytes)
    : store_(store),
      tail_bytes_(tail_bytes),
      events_(metrics.counter("feed_events_total", "Events sent to followers of the live feed")),
      reads_(metrics.counter("feed_reads_total", "Queries of the store for the live feed")),
      followers_gauge_(metrics.gauge("feed_followers", "Open live feeds")) {
  subscription_ = feed.listen([signal = signal_](std::uint64_t newest) {
    const MutexLock lock(signal->mutex);
    signal->newest = std::max(signal->newest, newest);
    signal->grew = true;
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

void FeedPump::Signal::raise() {
  const MutexLock lock(mutex);
  raised = true;
  changed.notify_one();
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
  auto wants_room = std::make_shared<std::atomic<bool>>(true);
  const auto raise = [weak = std::weak_ptr(signal_)] {
    if (const auto signal = weak.lock()) signal->raise();
  };
  const auto empty = [raise, wants_room] {
    if (wants_room->exchange(false)) raise();
  };
  auto stream = std::make_shared<http::EventStream>(
      http::EventStream::Options{.on_empty = empty, .on_close = raise});
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
                              .newest = bounds->newest,
                              .behind = true,
                              .stream = stream,
                              .wants_room = wants_room});
  signal_->raised = true;
  signal_->changed.notify_one();
  return stream;
}

void FeedPump::run() {
  bool ending = false;
  while (next(ending)) {
    std::erase_if(followers_, [](const Follower& one) { return one.stream->closed(); });
    if (ending) dismiss(followers_);
    followers_gauge_.set(static_cast<double>(followers_.size()));
    store_works_ = true;
    at_once_ = false;
    keep_tails();
    for (auto& follower : followers_) serve(follower);
    batches_.clear();
  }
  for (auto& follower : followers_) follower.stream->close();
}

bool FeedPump::next(bool& ending) {
  using Clock = std::chrono::steady_clock;
  auto& signal = *signal_;
  const MutexLock lock(signal.mutex);
  const auto urgent = [&]() LAPWING_REQUIRES(signal.mutex) {
    return signal.raised || signal.stopping;
  };
  const auto any = [&]() LAPWING_REQUIRES(signal.mutex) { return urgent() || signal.grew; };
  if (!store_works_) {
    signal.changed.wait_for(signal.mutex, kStoreRetry,
                            [&]() LAPWING_REQUIRES(signal.mutex) { return signal.stopping; });
  } else if (!at_once_) {
    signal.changed.wait(signal.mutex, any);
    signal.changed.wait_until(signal.mutex, look_at_, urgent);
  }
  if (signal.stopping) return false;
  if (signal.grew && Clock::now() >= look_at_) {
    signal.grew = false;
    newest_ = signal.newest;
    look_at_ = Clock::now() + kPause;
  }
  signal.raised = false;
  ending = signal.ending;
  std::ranges::move(signal.arrived, std::back_inserter(followers_));
  signal.arrived.clear();
  return true;
}

void FeedPump::dismiss(std::vector<Follower>& followers) {
  for (auto& follower : followers) {
    const auto retry = kRetryMs / 2 + static_cast<std::uint32_t>(random_u64() % kRetryMs);
    follower.stream->push({.id = "", .name = "", .data = "", .retry_ms = retry});
    follower.stream->close();
  }
  followers.clear();
}

/// A tail for each tenant that is followed, from its first follower's position on unless that is
/// long past, with what the feed grew by.
void FeedPump::keep_tails() {
  std::erase_if(tails_, [&](const auto& tail) {
    return std::ranges::find(followers_, tail.first, &Follower::tenant) == followers_.end();
  });
  for (const auto& one : followers_) {
    if (tails_.size() >= kTailsMax) break;
    if (tails_.contains(one.tenant)) continue;
    const auto begin = std::max(one.position, one.newest - std::min(one.newest, kTailSteps));
    tails_.emplace(one.tenant, Tail{FeedTail(begin, tail_bytes_)});
  }
  for (auto& [tenant, tail] : tails_) {
    if (!tail.behind && newest_ <= tail.events.end()) continue;
    tail.pieces.clear();
    const auto more = read(tenant, std::nullopt, kTailRows, tail.events);
    tail.behind = more.value_or(true);
    at_once_ = at_once_ || (more && *more);
  }
}

FeedTail::Piece FeedPump::Tail::after(std::uint64_t position,
                                      const std::optional<std::string>& device) {
  if (device) return events.after(position, device, kWaitingBytes);
  const auto known = pieces.find(position);
  if (known != pieces.end()) return known->second;
  if (pieces.size() >= kPiecesMax) pieces.clear();
  return pieces.emplace(position, events.after(position, device, kWaitingBytes)).first->second;
}

void FeedPump::serve(Follower& follower) {
  const auto tail = tails_.find(follower.tenant);
  const bool in_memory = tail != tails_.end() && follower.position >= tail->second.events.begin();
  const auto newest = in_memory ? tail->second.events.end() : newest_;
  if (!follower.behind && newest <= follower.position) return;
  *follower.wants_room = true;  // before the look at it, which would otherwise miss that it came
  if (follower.stream->waiting_bytes() > 0) return;
  auto* from = in_memory ? &tail->second : batch(follower);
  if (from == nullptr) return;
  const auto piece = from->after(follower.position, in_memory ? follower.device : std::nullopt);
  follower.behind = piece.more || (!in_memory && from->behind);
  if (piece.events > 0 && !follower.stream->push_shared(piece.bytes)) return;
  follower.position = piece.position;
  events_.add(static_cast<double>(piece.events));
  if (!follower.behind) *follower.wants_room = false;
}

FeedPump::Tail* FeedPump::batch(const Follower& follower) {
  const Key key{follower.tenant, follower.device, follower.position};
  const auto known = batches_.find(key);
  if (known != batches_.end()) return &known->second;
  Tail tail{FeedTail(follower.position, std::numeric_limits<std::size_t>::max())};
  const auto more = read(follower.tenant, follower.device, kBatchRows, tail.events);
  if (!more) return nullptr;
  tail.behind = *more;
  if (batches_.size() >= kBatchesMax) batches_.clear();
  return &batches_.emplace(key, std::move(tail)).first->second;
}

std::optional<bool> FeedPump::read(const std::string& tenant,
                                   const std::optional<std::string>& device, std::size_t limit,
                                   FeedTail& into) {
  if (!store_works_) return std::nullopt;
  reads_.add();
  const auto rows = store_.feed(tenant, {.after = into.end(), .device = device, .limit = limit});
  if (!rows) {
    log::warn("the live feed waits for the store", {rows.error()});
    store_works_ = false;
    return std::nullopt;
  }
  for (const auto& row : *rows) {
    into.append(row.seq, row.anomaly.device,
                http::format_event({std::to_string(row.seq), "anomaly", to_json(row)}));
  }
  // Rows up to newest_ were committed before the query: those not seen are not there.
  if (rows->size() < limit) into.complete(newest_);
  return rows->size() >= limit;
}

}  // namespace lapwing::hub
