// SPDX-License-Identifier: Apache-2.0
/// Which outbox a command is about.
#pragma once

#include "agent/cli/commands.hpp"

#include <filesystem>
#include <iosfwd>

namespace lapwing::agent {

struct OutboxFolder {
  std::filesystem::path path;
  int exit_code = 0;  ///< not 0: there is none, and it was told why
};

/// `--data-dir`, or the configuration's; a bad configuration is told and gives kExitConfig.
[[nodiscard]] OutboxFolder find_outbox(const OutboxCommand& command, std::ostream& err);

}  // namespace lapwing::agent
