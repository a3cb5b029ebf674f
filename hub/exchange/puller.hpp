// SPDX-License-Identifier: Apache-2.0
/// Takes the rows of other regions, each with a thread of its own.
#pragma once

#include "hub/exchange/peer_config.hpp"
#include "hub/exchange/peer_state.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lapwing::hub {

/// Of all processes of one store one takes a region's rows: whose `take` says yes, asked again and
/// again, until `release`. That two do for a while is no harm: rows are merged.
struct PullLease {
  std::function<bool(const std::string& name, Micros length)> take;
  std::function<void(const std::string& name)> release;
};

/// A region that cannot be reached is tried again, with growing and random waits of a minute at
/// most; nothing else waits for it.
/// Threads: one a peer; states() from any.
class Puller {
 public:
  /// Borrows store, feed and metrics, which must outlive it.
  Puller(std::vector<PeerConfig> peers, PullLease lease, Store& store, Feed& feed,
         Metrics& metrics);
  /// Ends requests that are under way, but for one that looks up a name or connects (5 s).
  ~Puller();
  Puller(const Puller&) = delete;
  Puller& operator=(const Puller&) = delete;

  [[nodiscard]] std::vector<PeerState> states() const;

 private:
  class One;
  std::vector<std::unique_ptr<One>> peers_;
};

}  // namespace lapwing::hub
