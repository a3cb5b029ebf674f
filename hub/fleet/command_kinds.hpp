// SPDX-License-Identifier: Apache-2.0
/// What an operator may want of a device.
#pragma once

#include "shared/base/result.hpp"

#include <string>
#include <string_view>

namespace lapwing::hub {

/// Whether there is such a kind, and its arguments (a JSON object's text, or empty) are of use:
///
/// | kind | arguments | what the device does |
/// | `reconnect` | `within_ms`, 0 to 600000, 5000 | leaves after a random time, connects anew |
/// | `report_status` | | sends its status at once |
/// | `renew_certificate` | | asks for a new certificate |
///
/// Errors: bad_input, with what is known.
Result<void> check_command(std::string_view kind, std::string_view arguments);

}  // namespace lapwing::hub
