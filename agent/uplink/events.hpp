// SPDX-License-Identifier: Apache-2.0
/// What the MQTT library's threads hand to the uplink's own thread.
#pragma once

#include "shared/base/result.hpp"
#include "shared/wire/certificates.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace lapwing::agent {

struct Connected {
  std::string connection_id;
};
struct Lost {
  Error reason;
};
using UplinkEvent = std::variant<Connected, Lost, wire::Welcome, wire::Ack, wire::Command,
                                 wire::Desired, wire::CertificateAnswer>;

/// Bound: kAnswersMax messages of the hub, each of a few KiB at most (the codec's limits); further
/// ones are refused: the hub is asked again. That a connection was made or lost is never refused:
/// what came before a loss counts no more and goes, so there are two of them at most. Threads: one
/// object is used from one thread at a time.
class UplinkEvents {
 public:
  static constexpr std::size_t kAnswersMax = 1024;

  /// False: refused.
  [[nodiscard]] bool put(UplinkEvent event) {
    if (std::holds_alternative<Lost>(event)) {
      events_.clear();
    } else if (!std::holds_alternative<Connected>(event) && events_.size() >= kAnswersMax) {
      return false;
    }
    events_.push_back(std::move(event));
    return true;
  }
  [[nodiscard]] bool empty() const noexcept { return events_.empty(); }
  /// In the order they came.
  [[nodiscard]] std::vector<UplinkEvent> take() { return std::exchange(events_, {}); }

 private:
  std::vector<UplinkEvent> events_;
};

}  // namespace lapwing::agent
