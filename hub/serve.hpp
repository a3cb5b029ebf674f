// SPDX-License-Identifier: Apache-2.0
/// `lapwing-hub serve`: joins store, ingest and API, in order, until a signal ends it.
#pragma once

#include "hub/roles.hpp"

#include <filesystem>
#include <iosfwd>
#include <optional>

namespace lapwing::hub {

struct ServeOptions {
  std::filesystem::path config = "hub.toml";
  std::optional<Roles> roles = std::nullopt;  ///< absent: those of `[hub] roles`
};

/// Runs until SIGTERM or SIGINT, then drains (hub/drain.hpp); SIGHUP stops the parts and makes them
/// anew with what the configuration and the certificates say by then, unless they have a problem.
/// The process's exit code: 0 stopped by a signal, 1 failed, 78 the configuration is wrong (every
/// problem is printed to `err`). Threads: call it on the main thread before any other thread exists
/// (it blocks signals).
int serve(const ServeOptions& options, std::ostream& err);

}  // namespace lapwing::hub
