// SPDX-License-Identifier: Apache-2.0
/// Makes the hub's broker read its certificates and its list of revoked ones anew.
#pragma once

#include "shared/base/result.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace lapwing::hub {

/// `[mqtt] reload`: `pid:FILE` sends SIGHUP to the mosquitto whose number is in the file;
/// `command:LINE` runs a line of shell; `none`: somebody else sees to it.
struct BrokerReload {
  enum class Way : std::uint8_t { pid, command, none };
  Way way = Way::none;
  std::string argument;  ///< the file, or the line

  /// Errors: bad_config.
  static Result<BrokerReload> parse(std::string_view text);
};

/// Done means that the broker was told, not that it did it.
/// Errors: not_found (no file, no such process), denied (another user's process), io (the command
/// failed, or took longer than 5 s), unsupported (none). The text names the remedy.
/// Cost: blocks while a command runs.
Result<void> reload_broker(const BrokerReload& how);

}  // namespace lapwing::hub
