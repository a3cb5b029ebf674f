// SPDX-License-Identifier: Apache-2.0
#include "hub/exchange/puller.hpp"

#include "hub/exchange/pull.hpp"
#include "shared/base/backoff.hpp"
#include "shared/base/log.hpp"
#include "shared/base/mutex.hpp"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr Micros kWaitMin = std::chrono::seconds(1);
constexpr Micros kWaitMax = std::chrono::minutes(1);
constexpr Micros kConnectTimeout = std::chrono::seconds(5);
constexpr Micros kRequestTimeout = std::chrono::seconds(30);
/// Longer than a request may take; renewed in a third of it.
constexpr Micros kLease = std::chrono::minutes(2);
/// How often a replica that does not pull looks whether it may.
constexpr Micros kAskForLease = std::chrono::seconds(15);
constexpr Micros kTellComplete = std::chrono::minutes(1);

http::ClientOptions client_options(const PeerConfig& config) {
  return {.origin = config.origin,
          .ca_file = config.ca_file,
          .bearer = config.token,
          .connect_timeout = kConnectTimeout,
          .request_timeout = kRequestTimeout};
}

}  // namespace

class Puller::One {
 public:
  One(const PeerConfig& config, PullLease lease, Store& store, Feed& feed, Metrics& metrics)
      : config_(config),
        lease_(std::move(lease)),
        lease_name_("pull " + config.peer.tenant + " " + config.peer.region),
        store_(store),
        metrics_(metrics),
        client_(client_options(config)),
        pull_(config.peer, store.exchange(), feed, metrics,
              [this](const std::string& target, const std::string& etag) {
                http::RequestOptions options{.headers = {}, .stop = stop_.get_token()};
                if (!etag.empty()) options.headers.emplace_back("If-None-Match", etag);
                return client_.request(http::Method::get, target, {}, options);
              }),
        lag_(metrics.gauge("hub_peer_lag_seconds",
                           "Since when rows of the region may be missing here; 0 at a replica that "
                           "does not take them",
                           {{"region", config.peer.region}, {"tenant", config.peer.tenant}})),
        backoff_(kWaitMin, kWaitMax, std::random_device{}()),
        complete_at_(ticks_now()),
        thread_([this] { run(); }) {}

  ~One() {
    stop();
    thread_.join();
  }
  One(const One&) = delete;
  One& operator=(const One&) = delete;

  void stop() {
    stop_.request_stop();
    const MutexLock lock(mutex_);
    changed_.notify_all();
  }

  PeerState state() const {
    const MutexLock lock(mutex_);
    return {config_.peer, pulling_, pulling_ ? ticks_now() - complete_at_ : Micros(0), trouble_};
  }

 private:
  void run() {
    while (!stop_.stop_requested()) {
      if (!hold_lease()) {
        wait(kAskForLease);
        continue;
      }
      const auto began = ticks_now();
      const auto at = now();
      const auto all = pull_.round(at, [this] { return !stop_.stop_requested() && hold_lease(); });
      if (stop_.stop_requested()) break;
      if (all && *all) completed(began, at);
      if (all) {
        backoff_.reset();
        settle("");
        wait(config_.every);
      } else {
        failed(all.error());
        wait(backoff_.next());
      }
    }
    if (pulling_) lease_.release(lease_name_);
  }

  /// Whether this process is the one that takes the region's rows.
  bool hold_lease() {
    if (pulling_ && ticks_now() < renew_at_) return true;
    const bool mine = lease_.take(lease_name_, kLease);
    renew_at_ = ticks_now() + kLease / 3;
    const MutexLock lock(mutex_);
    if (mine && !pulling_) complete_at_ = ticks_now();
    pulling_ = mine;
    return mine;
  }

  void completed(Ticks began, Time at) {
    {
      const MutexLock lock(mutex_);
      complete_at_ = began;
    }
    if (told_at_ && began - *told_at_ < kTellComplete) return;
    if (store_.exchange().complete(config_.peer, at)) told_at_ = began;
  }

  void failed(const Error& error) {
    settle(to_string(error.code));
    metrics_
        .counter("hub_peer_errors_total", "Rounds of taking a region's rows that failed",
                 {{"region", config_.peer.region},
                  {"tenant", config_.peer.tenant},
                  {"reason", std::string(to_string(error.code))}})
        .add();
    log::warn("rows of another region were not taken; trying again",
              {{"region", config_.peer.region}, error});
  }

  void settle(std::string_view trouble) {
    const MutexLock lock(mutex_);
    trouble_ = trouble;
  }

  /// Until then, or until it is to stop; shows the lag meanwhile.
  void wait(Micros time) {
    const auto until = ticks_now() + time;
    while (!stop_.stop_requested()) {
      lag_.set(static_cast<double>(state().lag.count()) / 1e6);
      const auto left = until - ticks_now();
      if (left <= Micros(0)) return;
      const MutexLock lock(mutex_);
      changed_.wait_for(mutex_, std::min(left, kWaitMin),
                        [this] { return stop_.stop_requested(); });
    }
  }

  const PeerConfig config_;
  const PullLease lease_;
  const std::string lease_name_;
  Store& store_;
  Metrics& metrics_;
  std::stop_source stop_;
  http::Client client_;
  Pull pull_;
  Gauge& lag_;
  Backoff backoff_;
  Ticks renew_at_{};
  std::optional<Ticks> told_at_;
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  bool pulling_ = false;  ///< written by the thread, under the mutex
  Ticks complete_at_;
  std::string trouble_;
  std::thread thread_;  ///< last: it uses all of the above
};

Puller::Puller(std::vector<PeerConfig> peers, PullLease lease, Store& store, Feed& feed,
               Metrics& metrics) {
  for (const auto& peer : peers) {
    peers_.push_back(std::make_unique<One>(peer, lease, store, feed, metrics));
  }
}

Puller::~Puller() {
  for (auto& one : peers_) one->stop();  // all at once
}

std::vector<PeerState> Puller::states() const {
  std::vector<PeerState> states;
  for (const auto& one : peers_) states.push_back(one->state());
  return states;
}

}  // namespace lapwing::hub
