// SPDX-License-Identifier: Apache-2.0
/// The measure for what a broker alone carries: a subscriber in the hub's place that drops all.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>

namespace lapwing::fleet {

/// Subscribes as the hub does, with its certificate and client library, and counts. Prints `ready`,
/// then twice a second `<monotonic seconds> <messages> <bytes>`, until it is ended by a signal.
Result<void> drop_all(const std::filesystem::path& hub_dir, std::uint16_t port);

}  // namespace lapwing::fleet
