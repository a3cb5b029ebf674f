// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/base/time.hpp"

#include <csignal>
#include <optional>

namespace lapwing {

/// The signals a service acts on: SIGTERM and SIGINT end it, SIGHUP makes it read its configuration
/// again. Made, they are blocked in this thread and those it starts, and SIGPIPE is ignored.
/// Threads: make it on the main thread before any other exists; wait on one thread.
class Signals {
 public:
  Signals();
  /// The next signal, or 0 after `patience`; without one it waits as long as it takes.
  [[nodiscard]] int wait(std::optional<Micros> patience = std::nullopt) const;

 private:
  sigset_t set_{};
};

}  // namespace lapwing
