// SPDX-License-Identifier: Apache-2.0
/// What a fleet is to do, and what is counted of it.
#pragma once

#include "shared/base/time.hpp"
#include "shared/sync/agent.hpp"
#include "tests/bench/fleet/histogram.hpp"
#include "tests/bench/fleet/link.hpp"
#include "tests/bench/fleet/members.hpp"
#include "tests/bench/fleet/records.hpp"

#include <atomic>
#include <cstdint>

namespace lapwing::fleet {

struct Plan {
  /// No schedule: the devices get bursts in turn, so that always `outstanding` records of the fleet
  /// are due and not acknowledged.
  bool saturate = false;
  std::uint64_t outstanding = 60'000;
  bool broker_only = false;    ///< no hub: the broker's PUBACK stands for its acknowledgement
  double rate_per_device = 0;  ///< records a second
  std::uint32_t burst = 200;   ///< records of a device that become due together
  double slow_share = 0;       ///< devices that send at 64 KiB/s and read 256 bytes in 250 ms
  double deaf_share = 0;       ///< devices that read nothing while records are made
  sync::AgentLimits limits;
  Micros status_interval = std::chrono::seconds(30);
  Micros keep_alive = std::chrono::seconds(20);
  Micros reconnect_max = std::chrono::seconds(30);
  Micros connect_timeout = std::chrono::seconds(30);
  // At the start. A broker shakes hands with all who come at the same time side by side: of too
  // many, none is done within its connect_timeout.
  double connects_per_second = 500;  ///< 0: no pace
  std::size_t connecting_max = 200;  ///< at once, over the fleet; 0: any number
};

/// Times that all loops follow; Ticks as microseconds, 0: not yet. Threads: one sets, any read.
struct Control {
  std::atomic<std::int64_t> start{0};    ///< records become due from here
  std::atomic<std::int64_t> measure{0};  ///< what becomes due from here is measured
  std::atomic<std::int64_t> end{0};      ///< nothing becomes due from here
  std::atomic<std::uint32_t> drops{0};   ///< raised: drop `drop_share` of the devices
  std::atomic<double> drop_share{0};
  std::atomic<bool> finish{false};  ///< say goodbye and end
};

/// Of one loop. Threads: one writes, any read.
struct Meters {
  std::atomic<std::int64_t> due{0};        ///< records
  std::atomic<std::int64_t> acked{0};      ///< records the hub committed and said so
  std::atomic<std::int64_t> connected{0};  ///< devices with a TCP connection secured, now
  std::atomic<std::int64_t> welcomed{0};   ///< devices that stream, now
  std::atomic<std::int64_t> halted{0};     ///< devices that the hub refuses or has quarantined, now
  std::atomic<std::uint64_t> handshakes{0};
  std::atomic<std::uint64_t> losses{0};   ///< connections lost or not made
  std::atomic<std::uint64_t> batches{0};  ///< messages on up/records, repeated ones included
  std::atomic<std::uint64_t> records{0};  ///< in them
  std::atomic<std::uint64_t> live{0};     ///< messages on up/report
  std::atomic<std::uint64_t> bytes{0};    ///< of frames on up/records
  std::atomic<std::uint64_t> resends{0};  ///< times an agent went back
  std::atomic<std::uint64_t> refused{0};  ///< publishes the connection did not take
  std::atomic<std::uint64_t> new_epochs{0};
  Histogram latency;  ///< by record, from due (saturating: from first sent) to acknowledged
  Histogram outage;   ///< from a lost connection to the next welcome
  Histogram connect;  ///< from the first packet to the welcome
};

/// What devices and loops borrow.
struct Shared {
  const Plan& plan;
  const Members& members;
  const Records& records;
  const TlsSide& tls;
  const Control& control;
};

}  // namespace lapwing::fleet
