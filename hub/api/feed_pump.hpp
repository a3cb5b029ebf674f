// SPDX-License-Identifier: Apache-2.0
/// Carries the feed from the store to those who follow it live.
#pragma once

#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/mutex.hpp"
#include "shared/http/events.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Reads feed rows from the store, by sequence, when the feed grew and when a follower has room:
/// a follower that reads slowly waits at its own position; nothing is skipped. Followers at the
/// same position share a query.
///
/// Bound: a follower holds at most kWaitingBytes and one event, twice: what is being written, and
///   what comes after it. One that takes nothing for Limits::event_write is dropped and counted
///   (lapwing_http_event_streams_dropped_total); it resumes at its Last-Event-ID.
/// Threads: subscribe() from any; a thread of its own reads.
class FeedPump {
 public:
  static constexpr std::size_t kBatchRows = 200;
  static constexpr std::size_t kWaitingBytes = std::size_t{64} << 10U;
  static constexpr std::uint32_t kRetryMs = 1'000;

  /// Borrows all, which must outlive it.
  FeedPump(Store& store, Feed& feed, Metrics& metrics);
  ~FeedPump();
  FeedPump(const FeedPump&) = delete;
  FeedPump& operator=(const FeedPump&) = delete;

  struct Wanted {
    std::string tenant;
    std::optional<std::string> device;
    std::optional<std::uint64_t> after;  ///< Last-Event-ID; absent: from now on
  };
  /// A stream that first tells its position (an id without data), then, when rows between `after`
  /// and the oldest kept are gone, an event `gap` without data. Errors: the store's.
  Result<std::shared_ptr<http::EventStream>> subscribe(const Wanted& wanted);
  /// Ends every stream after what was pushed, with word to come again: each after a time of its
  /// own, 0.5 to 1.5 times kRetryMs, so that not all come at once. Later subscribers get
  /// shutting_down.
  void end();

 private:
  struct Follower {
    std::string tenant;
    std::optional<std::string> device;
    std::uint64_t position = 0;
    bool behind = true;  ///< there may be more rows than the last query gave
    std::shared_ptr<http::EventStream> stream;
  };
  using Key = std::tuple<std::string, std::optional<std::string>, std::uint64_t>;
  using Batches = std::map<Key, std::vector<std::pair<std::uint64_t, http::Event>>>;

  void run();
  static void dismiss(std::vector<Follower>& followers);
  /// False: the store failed.
  bool serve(Follower& follower, std::uint64_t newest, Batches& batches);

  Store& store_;
  Counter& events_;
  Gauge& followers_gauge_;

  /// What streams, which may outlive the pump, call to wake it.
  struct Signal {
    Mutex mutex;
    std::condition_variable_any changed;
    bool raised = false;
    bool stopping = false;
    bool ending = false;
    std::uint64_t newest = 0;
    std::vector<Follower> arrived;
  };
  std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::thread thread_;
  Feed::Subscription subscription_;
};

}  // namespace lapwing::hub
