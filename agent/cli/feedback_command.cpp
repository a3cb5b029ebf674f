// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/config.hpp"
#include "shared/http/client.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace lapwing::agent {
int run_feedback(const FeedbackCommand& command, std::ostream& out, std::ostream& err) {
  const auto loaded = load_config(command.config);
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  if (!loaded.problems.empty()) return kExitConfig;
  const StatusConfig& status = loaded.config.status;
  if (!status.enabled) {
    err << "lapwing-agent: [status] is off, and takes the feedback: set enabled = true\n";
    return kExitConfig;
  }
  const http::Client agent({.origin = {.tls = false, .host = status.address, .port = status.port}});
  const nlohmann::json body = {{"stream", command.stream}, {"says", command.says}};
  const auto answer = agent.post("/api/v1/feedback", body.dump());
  if (!answer) {
    err << "lapwing-agent: " << answer.error().context << "; does the agent run?\n";
    return kExitFailed;
  }
  if (answer->status != 200) {
    err << "lapwing-agent: " << http::problem_detail(*answer) << '\n';
    return kExitFailed;
  }
  out << command.stream << ": " << command.says << '\n';
  return 0;
}

}  // namespace lapwing::agent
