// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/serve.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  CLI::App app("Lapwing hub: takes in what agents find, answers people and programs");
  app.require_subcommand(1);
  int exit_code = 0;
  lapwing::hub::add_commands(app, exit_code);
  lapwing::hub::ServeOptions options;
  auto* serve = app.add_subcommand("serve", "Run the hub until SIGTERM");
  serve->add_option("--config", options.config, "The hub's hub.toml")->capture_default_str();
  std::vector<std::string> roles;
  serve
      ->add_option("--roles", roles,
                   "What this process does: any of sync, api, worker; without it what hub.toml "
                   "says, else all")
      ->delimiter(',');
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : lapwing::kExitUsage;
  }
  if (serve->parsed() && !roles.empty()) {
    auto wanted = lapwing::hub::parse_roles(roles);
    if (!wanted) {
      std::cerr << "lapwing-hub serve: --roles: " << wanted.error().context << '\n';
      return lapwing::kExitUsage;
    }
    options.roles = *wanted;
  }
  if (serve->parsed()) exit_code = lapwing::hub::serve(options, std::cerr);
  return exit_code;
}
