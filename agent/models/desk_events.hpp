// SPDX-License-Identifier: Apache-2.0
/// What waits for the model desk's thread.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/models.hpp"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lapwing::agent {

/// A transfer ended: the file is there, or why it is not.
struct Fetched {
  std::string model;
  std::string sha256;
  Result<void> done;
};
using DeskEvent = std::variant<wire::Offer, Fetched>;

/// In the order in which they came; of offers of one model the newest, in the place of the oldest.
///
/// Bounds: an offer is refused while `offers_max` events wait; ends of transfers are never.
/// Threads: every function may be called from any thread; wait() from one at a time.
class DeskEvents {
 public:
  explicit DeskEvents(std::size_t offers_max) : offers_max_(offers_max) {}

  /// False: too many wait.
  bool offer(wire::Offer offer);
  void fetched(Fetched fetched);

  /// All that came, once something has or `most` is over; nullopt: stop() was called.
  std::optional<std::vector<DeskEvent>> wait(Micros most);
  /// For good. Repeatable.
  void stop();

 private:
  const std::size_t offers_max_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::vector<DeskEvent> events_;
  bool stopping_ = false;
};

}  // namespace lapwing::agent
