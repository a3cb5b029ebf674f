// SPDX-License-Identifier: Apache-2.0
/// A service that takes a new configuration without ending: its parts stop and are made anew.
#pragma once

#include "shared/base/config.hpp"
#include "shared/base/log.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <utility>

namespace lapwing {

/// Logs why a configuration that was read again is not taken.
void log_not_reloaded(const std::filesystem::path& file, std::span<const config::Problem> problems);

/// How one run of a service's parts ended.
template <class Config>
struct RunEnd {
  Result<void> done;           ///< why it failed, if it did
  bool served = false;         ///< every part had started
  std::optional<Config> next;  ///< run again, with this one
};

/// Calls `run(config)`, and again with each configuration a run asks for next. One whose parts do
/// not start (a port in use, a folder that cannot be written) is given up for the last that did.
/// `run` is `RunEnd<Config>(const Config&)`. Returns how the last run ended.
template <class Config, class Run>
Result<void> run_reloading(Config config, const Run& run) {
  std::optional<Config> last_good;
  for (;;) {
    RunEnd<Config> end = run(config);
    if (end.next) {
      last_good = std::exchange(config, *std::move(end.next));
      continue;
    }
    if (end.done || end.served || !last_good) return std::move(end.done);
    log::error("the new configuration does not run, back to the last good one",
               {{"reason", end.done.error().context}});
    config = *std::exchange(last_good, std::nullopt);
  }
}

}  // namespace lapwing
