// SPDX-License-Identifier: Apache-2.0
#include "shared/base/reload.hpp"

namespace lapwing {

void log_not_reloaded(const std::filesystem::path& file,
                      std::span<const config::Problem> problems) {
  for (const auto& problem : problems) {
    log::error("configuration problem", {{"problem", problem.text()}});
  }
  log::error("configuration not reloaded, the last good one stays",
             {{"file", file}, {"problems", problems.size()}});
}

}  // namespace lapwing
