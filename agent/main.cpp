// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/service.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

int main(int argc, char** argv) {
  CLI::App app("Lapwing agent: watches sensor streams where they are made");
  app.require_subcommand(1);
  int exit_code = 0;
  lapwing::agent::RunOptions options;
  auto* run =
      app.add_subcommand("run", "Watch until SIGTERM; SIGHUP reads the configuration again");
  run->add_option("-c,--config", options.config, "The agent's agent.toml")->capture_default_str();
  run->add_flag("--until-finished", options.until_finished,
                "End once every source has been read (csv sources only)");
  lapwing::agent::add_commands(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : lapwing::kExitUsage;
  }
  if (run->parsed()) exit_code = lapwing::agent::run_service(options, std::cerr);
  return exit_code;
}
