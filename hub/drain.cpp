// SPDX-License-Identifier: Apache-2.0
#include "hub/drain.hpp"

#include "hub/store/replicas.hpp"
#include "shared/base/config.hpp"
#include "shared/base/log.hpp"
#include "shared/base/systemd.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

/// The parts' own stop: what waits is stored, requests are answered.
constexpr Micros kStopMax = std::chrono::seconds(30);
/// For a connection and a hello elsewhere.
constexpr Micros kReturnMax = std::chrono::seconds(2);
constexpr Micros kLook = std::chrono::milliseconds(200);

/// False: a signal said not to wait.
bool pause(const Signals& signals, Micros length) {
  const auto until = ticks_now() + length;
  for (auto left = length; left.count() > 0;
       left = std::chrono::duration_cast<Micros>(until - ticks_now())) {
    systemd::watchdog();
    const int number = signals.wait(std::min(left, Micros(std::chrono::seconds(1))));
    if (number != 0 && number != SIGHUP) {
      log::info("hub stops at once", {{"signal", number}});
      return false;
    }
  }
  return true;
}

void hand_off(Parts& parts, const Signals& signals) {
  const auto window = parts.config.handoff;
  const auto told = parts.ingest->hand_off(window);
  if (!told)
    return log::warn("cannot hand devices off; they come back by themselves", {told.error()});
  if (*told == 0) return;
  log::info("devices are handed off",
            {{"devices", *told}, {"within", config::format_duration(window)}});
  const auto until = ticks_now() + window + kReturnMax;
  while (ticks_now() < until) {
    const auto left = parts.store->replicas().devices_of(parts.config.replica, 1);
    if (!left || left->empty()) return;
    if (!pause(signals, kLook)) return;
  }
}

}  // namespace

void drain(Parts& parts, const Signals& signals) {
  const auto& config = parts.config;
  if (config.drain.count() == 0 && config.handoff.count() == 0) return;
  parts.draining = true;
  systemd::stopping(config.drain + config.handoff + kReturnMax + kStopMax);
  log::info("hub drains", {{"for", config::format_duration(config.drain)}});
  if (!pause(signals, config.drain)) return;
  if (parts.api) parts.api->end_feeds();
  if (parts.ingest && config.handoff.count() > 0) hand_off(parts, signals);
}

}  // namespace lapwing::hub
