// SPDX-License-Identifier: Apache-2.0
/// `lapwing-agent run`: joins the modules, in order, until a signal ends it.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace lapwing::agent {

struct RunOptions {
  std::filesystem::path config = "agent.toml";
  bool until_finished = false;  ///< end by itself once every source (all of them files) is read
};

/// Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again. The process's exit code: 0
/// stopped by a signal, 1 failed, 78 the configuration is wrong (every problem is printed to
/// `err`).
///
/// SIGHUP: a configuration with a problem changes nothing. Otherwise `[log]` applies at once; if
/// other tables were edited, the parts stop as at an end (all that was taken in is scored and
/// committed, what the detectors learnt is kept) and are made anew; if those do not start, the old
/// ones are. Threads: call it on the main thread before any other thread exists (it blocks
/// signals).
int run_service(const RunOptions& options, std::ostream& err);

}  // namespace lapwing::agent
