// SPDX-License-Identifier: Apache-2.0
/// Which outbox a command is about, and what it says when it cannot go on.
#pragma once

#include "agent/cli/commands.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <iosfwd>

namespace lapwing::agent {

struct OutboxFolder {
  std::filesystem::path path;
  int exit_code = 0;  ///< not 0: there is none, and it was told why
};

/// `--data-dir`, or the configuration's; a bad configuration is told and gives kExitConfig.
[[nodiscard]] OutboxFolder find_outbox(const OutboxCommand& command, std::ostream& err);
/// Tells why a command ends without success: its exit code.
[[nodiscard]] int failed(const Error& error, std::ostream& err);

}  // namespace lapwing::agent
