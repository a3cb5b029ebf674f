// SPDX-License-Identifier: Apache-2.0
/// What systemd is told (sd_notify); nothing happens when no service manager listens.
#pragma once

#include "shared/base/time.hpp"

#include <optional>
#include <string_view>

namespace lapwing::systemd {

void ready();
void stopping();
/// As stopping(), and that it may take so long: longer than TimeoutStopSec is no failure then.
void stopping(Micros at_most);
void reloading();
/// One line for `systemctl status`.
void status(std::string_view text);
/// Feeds the watchdog. Call only when data moved or there was none to move, never from a bare
/// timer.
void watchdog();
/// How often the watchdog wants to be fed; nullopt when it is off.
[[nodiscard]] std::optional<Micros> watchdog_interval();

}  // namespace lapwing::systemd
