// SPDX-License-Identifier: Apache-2.0
#include "lapwing/commands.hpp"
#include "lapwing/registry_commands.hpp"
#include "lapwing/release_commands.hpp"
#include "lapwing/rollout_commands.hpp"
#include "lapwing/round_commands.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>
#include <memory>

namespace {

using namespace lapwing::cli;
using Run = int (*)(const ListCommand&, std::ostream&, std::ostream&);

void add_login(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<LoginCommand>();
  auto* command = app.add_subcommand("login", "Remember a hub and a token of it");
  command->add_option("--hub", options->hub, "The hub's address, as https://hub.example:8443")
      ->required();
  auto* token = command->add_option("--token", options->token,
                                    "A token of this hub; --token-file keeps it out of the "
                                    "shell's history");
  command->add_option("--token-file", options->token_file, "A file with the token; - reads stdin")
      ->excludes(token);
  command
      ->add_option("--ca", options->ca_file,
                   "Authority of the hub's certificate (PEM): the hub's ca.pem")
      ->check(CLI::ExistingFile);
  command->callback(
      [options, &exit_code] { exit_code = run_login(*options, std::cout, std::cerr); });
}

void add_permit(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<PermitCommand>();
  auto* command = app.add_subcommand("permit", "Make a one-time token that lets a device in");
  command->add_option("device", options->device, "The device's name")->required();
  command->add_option("--expires", options->expires, "How long the token is good: 1h, 7d")
      ->capture_default_str();
  command->add_flag("--json", options->json, "As JSON");
  command->callback(
      [options, &exit_code] { exit_code = run_permit(*options, std::cout, std::cerr); });
}

std::pair<CLI::App*, std::shared_ptr<ListCommand>> add_list(CLI::App& app, int& exit_code,
                                                            const char* name, const char* help,
                                                            Run run) {
  const auto options = std::make_shared<ListCommand>();
  auto* command = app.add_subcommand(name, help);
  command->add_flag("--json", options->json, "One JSON object per line");
  command->callback(
      [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
  return {command, options};
}

void add_lists(CLI::App& app, int& exit_code) {
  add_list(app, exit_code, "devices", "List the fleet", &run_devices);
  const auto [streams, of] =
      add_list(app, exit_code, "streams", "List a device's streams", &run_streams);
  streams->add_option("device", of->device, "The device")->required();
  const auto [anomalies, wanted] =
      add_list(app, exit_code, "anomalies", "List anomalies, newest first", &run_anomalies);
  anomalies->add_flag("-f,--follow", wanted->follow, "Go on with each step as it reaches the hub");
  anomalies->add_option("--device", wanted->device, "This device only");
  anomalies->add_option("--state", wanted->state, "open or closed")
      ->check(CLI::IsMember({"open", "closed"}));
  anomalies->add_option("--severity", wanted->severity, "minor, major or critical")
      ->check(CLI::IsMember({"minor", "major", "critical"}));
  anomalies->add_option("--since", wanted->since, "Onset not before this: an RFC 3339 time, or 2h");
  anomalies->add_option("--limit", wanted->limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Lapwing: asks a hub what its devices found");
  app.require_subcommand(1);
  int exit_code = 0;
  add_login(app, exit_code);
  add_permit(app, exit_code);
  add_lists(app, exit_code);
  add_round_commands(app, exit_code);
  add_release_commands(app, exit_code);
  add_rollout_commands(app, exit_code);
  add_train_command(app, exit_code);
  bool version_json = false;
  auto* version = app.add_subcommand("version", "Print the version");
  version->add_flag("--json", version_json, "As JSON");
  version->callback([&] {
    std::cout << (version_json ? "{\"version\":\"" LAPWING_VERSION "\"}\n"
                               : "lapwing " LAPWING_VERSION "\n");
  });
  std::signal(SIGPIPE, SIG_IGN);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : lapwing::kExitUsage;
  }
  return exit_code;
}
