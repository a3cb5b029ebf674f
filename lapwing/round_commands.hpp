// SPDX-License-Identifier: Apache-2.0
/// `lapwing round start|list|show|cancel`: federated rounds of the hub that one is logged in to.
#pragma once

#include "shared/base/exit_codes.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>

namespace CLI {
class App;
}

namespace lapwing::cli {

struct RoundCommand {
  std::filesystem::path file;  ///< start: the order, a JSON object (docs/federated.md)
  std::uint64_t id = 0;        ///< show, cancel
  bool json = false;
};
int run_round_start(const RoundCommand& command, std::ostream& out, std::ostream& err);
int run_round_list(const RoundCommand& command, std::ostream& out, std::ostream& err);
/// The round, and what each device told, in bytes.
int run_round_show(const RoundCommand& command, std::ostream& out, std::ostream& err);
int run_round_cancel(const RoundCommand& command, std::ostream& out, std::ostream& err);

void add_round_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::cli
