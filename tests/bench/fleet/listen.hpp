// SPDX-License-Identifier: Apache-2.0
/// Many followers of a hub's live feed, in one thread.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace lapwing::fleet {

struct ListenOptions {
  std::uint16_t port = 0;  ///< of the API on 127.0.0.1, plain HTTP
  std::string token;
  std::size_t clients = 200;
};

/// Opens GET /api/v1/feed so often and counts events. Prints `ready` when all have an answer, then
/// twice a second `<monotonic seconds> <events> <bytes> <clients still followed>`, until it is
/// ended by a signal. Errors: io (a connection), denied (an answer other than 200).
Result<void> listen_all(const ListenOptions& options);

}  // namespace lapwing::fleet
