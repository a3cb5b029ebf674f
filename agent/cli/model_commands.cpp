// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "shared/base/short_text.hpp"
#include "shared/model/model.hpp"
#include "shared/model/text.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace lapwing::agent {

int run_model_inspect(const ModelCommand& command, std::ostream& out, std::ostream& err) {
  const auto model = model::Model::open(command.file);
  if (!model) {
    err << "lapwing-agent: " << model.error().context << '\n';
    return kExitFailed;
  }
  const auto detector = model->make_detector();
  if (!detector) {
    err << "lapwing-agent: " << command.file.string() << ": " << detector.error().context << '\n';
    return kExitFailed;
  }
  const auto& header = model->header();
  if (command.json) {
    auto json = to_json(header);
    json["file"] = command.file.string();
    json["bytes"] = model->file_bytes().size();
    json["sha256"] = model->sha256();
    json["payload_bytes"] = model->payload().size();
    json["state_bytes"] = (*detector)->state_bytes();
    out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return 0;
  }
  out << to_text(header) << "  of " << (header.calibration.held_out ? "held-out" : "training")
      << " rows (" << header.calibration.rows << ")  score at most\n";
  for (std::size_t i = 0; i < header.calibration.shares.size(); ++i) {
    out << "  " << short_number(100 * header.calibration.shares[i]) << " %  "
        << short_number(header.calibration.scores[i]) << '\n';
  }
  out << '\n'
      << command.file.string() << ": " << model->file_bytes().size() << " bytes, "
      << (*detector)->state_bytes() << " in memory, SHA-256 " << model->sha256() << '\n';
  return 0;
}

}  // namespace lapwing::agent
