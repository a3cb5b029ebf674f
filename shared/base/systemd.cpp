// SPDX-License-Identifier: Apache-2.0
#include "shared/base/systemd.hpp"

#include <systemd/sd-daemon.h>

#include <cstdint>
#include <string>

namespace lapwing::systemd {

void ready() { sd_notify(0, "READY=1"); }
void stopping() { sd_notify(0, "STOPPING=1"); }
void stopping(Micros at_most) {
  const auto text = "STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(at_most.count());
  sd_notify(0, text.c_str());
}
void reloading() { sd_notify(0, "RELOADING=1"); }
void status(std::string_view text) { sd_notify(0, ("STATUS=" + std::string(text)).c_str()); }
void watchdog() { sd_notify(0, "WATCHDOG=1"); }

std::optional<Micros> watchdog_interval() {
  std::uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) <= 0) return std::nullopt;
  return Micros(static_cast<std::int64_t>(micros / 2));  // systemd.service(5): notify at half of it
}

}  // namespace lapwing::systemd
