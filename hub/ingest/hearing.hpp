// SPDX-License-Identifier: Apache-2.0
/// Since when this replica hears its devices: without it nobody could tell a silent device from one
/// that nobody heard.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/time.hpp"

#include <optional>
#include <string>

namespace lapwing::hub {

/// Tells the store, every few seconds, that the replica hears, and since when without a break
/// (Replicas::beat).
/// Threads: look() from one thread.
class Hearing {
 public:
  static constexpr Micros kBeatEvery = std::chrono::seconds(5);
  /// Not told for so long: whoever would have spoken meanwhile was not heard.
  static constexpr Micros kBreak = std::chrono::seconds(30);

  /// Borrows `store`, which must outlive it.
  Hearing(Store& store, std::string replica) : store_(store), replica_(std::move(replica)) {}

  /// `hears`: connected to the broker, and the store takes what comes.
  void look(bool hears, Time at);

 private:
  Store& store_;
  const std::string replica_;
  std::optional<Time> since_;
  std::optional<Time> told_;  ///< last, and the store took it
};

}  // namespace lapwing::hub
