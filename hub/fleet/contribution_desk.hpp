// SPDX-License-Identifier: Apache-2.0
/// Takes in what devices tell in federated rounds.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace lapwing::hub {

/// Who tells is whose topic it is; a device that is unknown, revoked, or that nobody waits for
/// tells nothing. Nothing is answered: a device that has not told all is asked again
/// (hub/jobs/rounds.hpp).
///
/// Bounds: kWaitingMax pieces of at most 24 KiB wait, further ones are dropped and counted.
/// Threads: take() from any; start and stop from one. A thread of its own stores.
class ContributionDesk {
 public:
  static constexpr std::size_t kWaitingMax = 1024;
  static constexpr std::size_t kFrameBytesMax = std::size_t{24} << 10U;

  /// Borrows store and metrics, which must outlive it.
  ContributionDesk(Store& store, Metrics& metrics);
  ~ContributionDesk();
  ContributionDesk(const ContributionDesk&) = delete;
  ContributionDesk& operator=(const ContributionDesk&) = delete;

  void start();
  /// What waits is dropped: it is asked for again. Repeatable.
  void stop();
  /// Never blocks. `frame`: as it came from the broker.
  void take(const wire::Identity& device, std::string_view frame);

  /// Stores one piece.
  void handle(const wire::Identity& device, std::string_view frame);

 private:
  struct Waiting {
    wire::Identity device;
    std::string frame;
  };
  void run();

  Store& store_;
  Counter& kept_;
  Counter& ignored_;
  Counter& refused_;
  Counter& dropped_;
  Counter& bytes_;
  wire::FrameReader reader_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace lapwing::hub
