// SPDX-License-Identifier: Apache-2.0
/// Detectors that lost their CUDA device and go on with the CPU, told to whoever runs the agent.
#pragma once

#include "shared/base/metrics.hpp"

#include <cstdint>

namespace lapwing::agent {

/// One warning in the log for each, as it happens, and a counter of those since construction.
/// Takes the process's hook (detect::on_device_failure): one object at a time. Threads: look() from
/// one thread; the warning is written by the thread that scores.
class DeviceFailures {
 public:
  /// Borrows the metrics.
  explicit DeviceFailures(Metrics& metrics);
  ~DeviceFailures();
  DeviceFailures(const DeviceFailures&) = delete;
  DeviceFailures& operator=(const DeviceFailures&) = delete;

  /// Brings the counter up to date; call it now and then.
  void look();

 private:
  std::uint64_t seen_;  ///< of the process
  Counter& counter_;
};

}  // namespace lapwing::agent
