// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/config.hpp"

#include <ostream>

namespace lapwing::agent {

int run_check_config(const std::filesystem::path& config, std::ostream& out, std::ostream& err) {
  const auto loaded = load_config(config);
  if (!loaded.problems.empty()) {
    for (const auto& problem : loaded.problems) err << problem.text() << '\n';
    err << "lapwing-agent: " << loaded.problems.size()
        << (loaded.problems.size() == 1 ? " problem" : " problems") << " in " << config.string()
        << "; every key is in `lapwing-agent check-config --reference`\n";
    return kExitConfig;
  }
  const AgentConfig& c = loaded.config;
  out << config.string() << " is fine: " << c.sources.size()
      << (c.sources.size() == 1 ? " source, " : " sources, ") << c.watches.size()
      << (c.watches.size() == 1 ? " watch" : " watches") << ", data in " << c.data_dir.string()
      << '\n';
  return 0;
}

}  // namespace lapwing::agent
