// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/outbox_folder.hpp"

#include "agent/config.hpp"

#include <ostream>

namespace lapwing::agent {

OutboxFolder find_outbox(const OutboxCommand& command, std::ostream& err) {
  if (!command.data_dir.empty()) return {.path = command.data_dir};
  const auto loaded = load_config(command.config);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) return {.exit_code = kExitConfig};
  return {.path = loaded.config.data_dir};
}

int failed(const Error& error, std::ostream& err) {
  err << "lapwing-agent: " << error.context << '\n';
  return kExitFailed;
}

}  // namespace lapwing::agent
