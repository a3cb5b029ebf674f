// SPDX-License-Identifier: Apache-2.0
/// Carries the feed from the store to those who follow it live.
#pragma once

#include "hub/api/feed_tail.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/mutex.hpp"
#include "shared/http/events.hpp"

#include <atomic>
#include <chrono>
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
/// a follower that reads slowly waits at its own position; nothing is skipped. Of a tenant that is
/// followed the newest events are kept in memory, read and formatted once for all its followers;
/// who stands before them is served from the store until it has caught up.
///
/// Delay: an event is pushed at most kPause and a read of the store (milliseconds) after its
///   commit: below 0.2 s where the store and the follower keep up.
/// Bound: a follower holds at most kWaitingBytes and one event, twice: what is being written, and
///   what comes after it. One that takes nothing for Limits::event_write is dropped and counted
///   (lapwing_http_event_streams_dropped_total); it resumes at its Last-Event-ID. In memory are
///   kTailBytes for each of kTailsMax tenants; followers of further ones are served from the store.
/// Threads: subscribe() from any; a thread of its own reads.
class FeedPump {
 public:
  static constexpr std::size_t kBatchRows = 200;
  static constexpr std::size_t kTailBytes = std::size_t{4} << 20U;
  static constexpr std::size_t kTailsMax = 16;
  /// Between two looks at what the feed grew by, so that reads and writes are few and large. A
  /// follower that is new or has room, and the end, do not wait for it.
  static constexpr std::chrono::milliseconds kPause{100};
  static constexpr std::size_t kWaitingBytes = std::size_t{64} << 10U;
  static constexpr std::uint32_t kRetryMs = 1'000;

  /// Borrows all, which must outlive it.
  FeedPump(Store& store, Feed& feed, Metrics& metrics, std::size_t tail_bytes = kTailBytes);
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
    std::uint64_t newest = 0;  ///< when it came
    bool behind = true;        ///< there may be more than it was given
    std::shared_ptr<http::EventStream> stream;
    /// Whether the pump is to be woken when the stream is empty.
    std::shared_ptr<std::atomic<bool>> wants_room;
  };
  struct Tail {
    FeedTail events;
    bool behind = true;  ///< there may be more rows than the last query gave
    /// What followers without a filter get, by their positions, until more events come.
    std::map<std::uint64_t, FeedTail::Piece> pieces{};

    FeedTail::Piece after(std::uint64_t position, const std::optional<std::string>& device);
  };
  using Key = std::tuple<std::string, std::optional<std::string>, std::uint64_t>;

  /// What streams, which may outlive the pump, call to wake it.
  struct Signal {
    void raise();

    Mutex mutex;
    std::condition_variable_any changed;
    bool raised LAPWING_GUARDED_BY(mutex) = false;  ///< at once
    bool grew LAPWING_GUARDED_BY(mutex) = false;    ///< after kPause
    bool stopping LAPWING_GUARDED_BY(mutex) = false;
    bool ending LAPWING_GUARDED_BY(mutex) = false;
    std::uint64_t newest LAPWING_GUARDED_BY(mutex) = 0;
    std::vector<Follower> arrived LAPWING_GUARDED_BY(mutex);
  };

  void run();
  /// Waits for something to do, and takes it. False: stop.
  bool next(bool& ending);
  static void dismiss(std::vector<Follower>& followers);
  void keep_tails();
  void serve(Follower& follower);
  /// Adds the rows after its end. Absent: the store failed; else whether there may be more.
  std::optional<bool> read(const std::string& tenant, const std::optional<std::string>& device,
                           std::size_t limit, FeedTail& into);
  /// Absent: the store failed.
  Tail* batch(const Follower& follower);

  Store& store_;
  const std::size_t tail_bytes_;
  Counter& events_;
  Counter& reads_;
  Gauge& followers_gauge_;

  // --- of the pump's thread
  std::vector<Follower> followers_;
  std::map<std::string, Tail> tails_;  ///< by tenant, while it is followed
  std::map<Key, Tail> batches_;        ///< of one round, for others at the same position
  std::uint64_t newest_ = 0;           ///< to be read up to here
  bool store_works_ = true;            ///< in this round
  bool at_once_ = false;               ///< a tail has more to read
  std::chrono::steady_clock::time_point look_at_{};  ///< when what grew is to be looked at

  std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::thread thread_;
  Feed::Subscription subscription_;
};

}  // namespace lapwing::hub
