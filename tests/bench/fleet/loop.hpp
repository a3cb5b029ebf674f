// SPDX-License-Identifier: Apache-2.0
/// One thread that runs many devices: epoll and a queue of times.
#pragma once

#include "tests/bench/fleet/device.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

namespace lapwing::fleet {

/// Devices `first`, `first + stride`, ... of the fleet. Threads: made and joined by one; its own
/// thread does the rest.
class Loop {
 public:
  /// Borrows `shared`.
  Loop(const Shared& shared, std::size_t first, std::size_t stride);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  void join();
  [[nodiscard]] const Meters& meters() const noexcept { return *meters_; }
  /// After join(): where the devices stand now.
  void write_back(Members& members) const;

 private:
  void run();
  void wait(Ticks until);
  void follow_control(Ticks now);
  void settle(std::size_t place);
  void hand_out(Ticks now);
  void let_connect(Ticks now);

  const Shared& shared_;
  const std::size_t first_;
  const std::size_t stride_;
  int poll_ = -1;
  LoopTools tools_;
  std::unique_ptr<Meters> meters_ = std::make_unique<Meters>();
  std::vector<std::unique_ptr<Device>> devices_;
  using Wake = std::pair<Ticks, std::size_t>;
  std::priority_queue<Wake, std::vector<Wake>, std::greater<>> wakes_;
  std::vector<Ticks> queued_;  ///< the earliest time each device is in the queue for
  std::int64_t started_ = 0;
  std::int64_t ended_ = 0;
  std::uint32_t drops_ = 0;
  Ticks began_{};
  std::size_t begun_ = 0;  ///< devices that connect or have connected
  std::size_t turn_ = 0;   ///< saturating: whose burst is next
  std::thread thread_;
};

}  // namespace lapwing::fleet
