// SPDX-License-Identifier: Apache-2.0
/// Wakes those who wait for the live feed to grow.
#pragma once

#include "shared/base/mutex.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace lapwing::hub {

/// Tells listeners that the feed grew; they then read Store::feed from where they were.
/// Carries no rows: a listener that is slow, or misses a call, loses nothing.
///
/// Threads: shared objects are safe. Listeners are called on a thread of ingest, after COMMIT, one
///   call at a time, not always the newest number last: they must only post to their own executor,
///   never block, and never call back into this Feed.
class Feed {
 public:
  using Listener = std::function<void(std::uint64_t newest_seq)>;

  /// Ends the subscription when destroyed; once that returns the listener is not called any more.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Feed* feed, std::uint64_t id) : feed_(feed), id_(id) {}
    ~Subscription() { reset(); }
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    void reset();

   private:
    Feed* feed_ = nullptr;  ///< must outlive this
    std::uint64_t id_ = 0;
  };

  [[nodiscard]] Subscription listen(Listener listener);
  /// Called by ingest after a commit that added feed rows.
  void grew(std::uint64_t newest_seq);

 private:
  void remove(std::uint64_t id);

  Mutex mutex_;
  std::uint64_t next_id_ LAPWING_GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, Listener> listeners_ LAPWING_GUARDED_BY(mutex_);
};

/// Tells a Feed what other replicas committed, while it lives (see Store::watch_feed).
class FeedWatch {
 public:
  virtual ~FeedWatch() = default;
};

}  // namespace lapwing::hub
