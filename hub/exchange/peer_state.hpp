// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/exchange.hpp"
#include "shared/base/time.hpp"

#include <string>

namespace lapwing::hub {

/// How a region's rows come in, as this process knows it.
struct PeerState {
  Peer peer;
  bool pulling = false;  ///< false: another replica does it
  /// Since when something may be missing here: the age of the last round that ended with nothing
  /// more to take; since the start when there was none.
  Micros lag{};
  std::string trouble;  ///< the kind of error that the last round ended with; empty: none
};

}  // namespace lapwing::hub
