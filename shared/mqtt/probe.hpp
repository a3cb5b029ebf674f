// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: finds out why a connection cannot be made.
#pragma once

#include "shared/base/result.hpp"
#include "shared/mqtt/client.hpp"

#include <functional>
#include <string>

namespace lapwing::mqtt {

/// The library tells little of why it failed ("TCP/TLS connect failure" for all of it). So after a
/// failure one connection of our own goes the same way, as far as TLS, and names what is wrong with
/// its remedy: nothing listens, expired, another authority, another name, our certificate refused.
/// Done means that this far all is well.
/// Errors: io (network), denied (certificates), bad_config (our files), timeout, shutting_down.
/// Cost: one connection; blocks up to the connect timeout, or until `stopping` says so.
Result<void> probe(const Options& options, const std::function<bool()>& stopping);

}  // namespace lapwing::mqtt
