// SPDX-License-Identifier: Apache-2.0
#include "hub/serve.hpp"

#include "hub/cli/commands.hpp"
#include "hub/config.hpp"
#include "hub/drain.hpp"
#include "hub/parts.hpp"
#include "shared/base/config.hpp"
#include "shared/base/log.hpp"
#include "shared/base/reload.hpp"
#include "shared/base/signals.hpp"
#include "shared/base/steps.hpp"
#include "shared/base/systemd.hpp"

#include <array>
#include <optional>
#include <ostream>
#include <vector>

namespace lapwing::hub {
namespace {

struct Loaded {
  HubConfig config;
  std::vector<config::Problem> problems;  ///< not empty: do not run with it
};

Loaded load(const ServeOptions& options) {
  auto document = config::Document::load(options.config, config::process_environment());
  auto root = document.root();
  auto hub = HubConfig::read(root);
  if (options.roles) hub.roles = *options.roles;
  return {std::move(hub), document.finish()};
}

/// The next signal. Where ingest does not feed systemd's watchdog, this does: the process answers
/// when asked, and its store's troubles are not mended by a restart.
int next_signal(const Parts& parts, const Signals& signals) {
  const auto every = systemd::watchdog_interval();
  if (parts.ingest || !every) return signals.wait();
  for (;;) {
    if (const int number = signals.wait(*every); number != 0) return number;
    systemd::watchdog();
  }
}

/// Until a signal ends the hub, or SIGHUP brought a configuration to go on with.
std::optional<HubConfig> wait(const ServeOptions& options, const Parts& parts,
                              const Signals& signals) {
  for (;;) {
    const int number = next_signal(parts, signals);
    if (number != SIGHUP) {
      log::info("hub stops", {{"signal", number}});
      systemd::stopping();
      return std::nullopt;
    }
    systemd::reloading();
    auto loaded = load(options);
    if (loaded.problems.empty()) {
      log::info("configuration and certificates reloaded", {{"file", options.config}});
      return std::move(loaded.config);
    }
    log_not_reloaded(options.config, loaded.problems);
    systemd::ready();
  }
}

RunEnd<HubConfig> run(const ServeOptions& options, const HubConfig& config,
                      const Signals& signals) {
  log::configure(log::level_from(config.log_level).value(),
                 log::format_from(config.log_format).value());
  Parts parts{.config = config};
  const std::array steps{
      Step{.name = "store",
           .start = [&] { return parts.start_store(); },
           .stop = [&] { parts.stop_store(); }},
      Step{.name = "sinks",
           .start = [&] { return parts.start_sinks(); },
           .stop = [&] { parts.stop_sinks(); }},
      Step{.name = "certificates",
           .start = [&] { return parts.start_certificates(); },
           .stop = [&] { parts.stop_certificates(); }},
      Step{.name = "ingest",
           .start = [&] { return parts.start_ingest(); },
           .stop = [&] { parts.stop_ingest(); }},
      Step{.name = "worker",
           .start = [&] { return parts.start_worker(); },
           .stop = [&] { parts.stop_worker(); }},
      Step{.name = "http",
           .start =
               [&] {
                 auto started = parts.start_http();
                 if (!started) parts.stop_http();
                 return started;
               },
           .stop = [&] { parts.stop_http(); }},
  };
  RunEnd<HubConfig> end;
  end.done = run_steps(steps, [&]() -> Result<void> {
    log::info("hub serves", {{"data", parts.config.data_dir},
                             {"http", parts.address()},
                             {"roles", parts.config.roles.text()},
                             {"replica", parts.config.replica}});
    end.served = true;
    systemd::ready();
    end.next = wait(options, parts, signals);
    if (!end.next) drain(parts, signals);
    return {};
  });
  return end;
}

}  // namespace

int serve(const ServeOptions& options, std::ostream& err) {
  auto loaded = load(options);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) return kExitConfig;
  const Signals signals;
  const auto done = run_reloading(std::move(loaded.config), [&](const HubConfig& config) {
    return run(options, config, signals);
  });
  if (done) return 0;
  err << "lapwing-hub: " << done.error().context << '\n';
  return done.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
}

}  // namespace lapwing::hub
