// SPDX-License-Identifier: Apache-2.0
/// `lapwing rollout` and `lapwing label`. Exit codes as in commands.hpp.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lapwing::cli {

struct RolloutStart {
  std::string model;
  std::uint64_t number = 0;
  std::uint64_t undo = 0;
  std::filesystem::path plan;  ///< JSON; empty: the hub's own
  std::vector<std::string> devices;
  std::vector<std::string> labels;  ///< key=value
  std::string shadow;               ///< duration; empty: the plan's
  std::string soak;
  bool all = false;  ///< every device of the tenant
  bool leave_out_offline = false;
  bool json = false;
};
int run_rollout_start(const RolloutStart& command, std::ostream& out, std::ostream& err);

int run_rollout_list(bool json, std::ostream& out, std::ostream& err);
/// Rings, gates, and the last decisions.
int run_rollout_show(std::uint64_t id, bool json, std::ostream& out, std::ostream& err);
/// The same again and again until it has ended: on a terminal in place, else a line for each
/// change. Exit code 0: it is done.
int run_rollout_watch(std::uint64_t id, std::ostream& out, std::ostream& err);
/// `action`: pause, resume or abort, with the body the API wants for it.
int run_rollout_change(std::uint64_t id, const std::string& action, const std::string& body,
                       std::ostream& out, std::ostream& err);

/// A rollout as the API tells it, as a picture: a bar for each ring, of the devices' stages, and
/// its gates.
[[nodiscard]] std::string rollout_picture(const nlohmann::ordered_json& rollout, std::size_t width);

struct LabelCommand {
  std::string device;
  std::vector<std::string> labels;  ///< key=value
};
int run_label(const LabelCommand& command, std::ostream& out, std::ostream& err);

void add_rollout_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::cli
