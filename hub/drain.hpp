// SPDX-License-Identifier: Apache-2.0
/// How a replica leaves without anyone waiting for a timeout.
#pragma once

#include "hub/parts.hpp"
#include "shared/base/signals.hpp"

namespace lapwing::hub {

/// After SIGTERM, while all parts go on: `/health/ready` says "draining"; after `[hub] drain` live
/// feeds are ended and the devices connected here are asked to leave within `[hub] handoff`;
/// returns when they have connected elsewhere, or a little after that window. A second SIGTERM or
/// SIGINT ends it at once.
void drain(Parts& parts, const Signals& signals);

}  // namespace lapwing::hub
