// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/serve.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

int main(int argc, char** argv) {
  CLI::App app("Lapwing hub: takes in what agents find, answers people and programs");
  app.require_subcommand(1);
  int exit_code = 0;
  lapwing::hub::add_commands(app, exit_code);
  lapwing::hub::ServeOptions options;
  auto* serve = app.add_subcommand("serve", "Run the hub until SIGTERM");
  serve->add_option("--config", options.config, "The hub's hub.toml")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : lapwing::kExitUsage;
  }
  if (serve->parsed()) exit_code = lapwing::hub::serve(options, std::cerr);
  return exit_code;
}
