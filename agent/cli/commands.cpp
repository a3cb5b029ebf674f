// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"

#include "agent/config.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

namespace lapwing::agent {
namespace {

CLI::Option* add_config(CLI::App& command, std::filesystem::path& config) {
  return command.add_option("-c,--config", config, "The agent's agent.toml");
}

void add_check_config(CLI::App& app, int& exit_code) {
  struct Options {
    std::filesystem::path config = "agent.toml";
    bool reference = false;
  };
  auto* command = app.add_subcommand("check-config", "Say whether a configuration can be used");
  const auto options = std::make_shared<Options>();
  add_config(*command, options->config)->capture_default_str();
  command->add_flag("--reference", options->reference,
                    "Print every key with unit, range and default (Markdown)");
  command->callback([options, &exit_code] {
    if (options->reference) {
      std::cout << configuration_reference();
      return;
    }
    exit_code = run_check_config(options->config, std::cout, std::cerr);
  });
}

void add_replay(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("replay", "Score a CSV file as if it were live");
  const auto wanted = std::make_shared<ReplayCommand>();
  ReplayOptions& options = wanted->options;
  command
      ->add_option("file", options.file, "CSV with a time and a value column; - is standard input")
      ->required();
  command->add_option("--plot", options.plot, "Draw value, band and anomalies into this SVG file");
  command->add_option("--time", options.timestamp_column, "Time column: name, or number from 1")
      ->capture_default_str();
  command->add_option("--value", options.value_column, "Value column: name, or number from 1")
      ->capture_default_str();
  command->add_option("--delimiter", options.delimiter, "Between columns")->capture_default_str();
  command
      ->add_option("--alarms-per-week", options.watch.alarms_per_week,
                   "False alarms accepted a week: the sensitivity")
      ->check(CLI::Range(0.001, 10'000.0))
      ->capture_default_str();
  command->add_option("--detector", options.watch.detector, "See `lapwing-agent detectors`")
      ->capture_default_str();
  command->add_option("--warmup", options.watch.warmup, "Readings before the first score")
      ->check(CLI::Range(60, 100'000))
      ->capture_default_str();
  auto* config = add_config(*command, wanted->config);
  command->add_option("--watch", wanted->watch, "Use this [[watch]] of the configuration")
      ->needs(config);
  command->add_flag("--json", wanted->json, "Print JSON");
  command->callback(
      [wanted, &exit_code] { exit_code = run_replay(*wanted, std::cout, std::cerr); });
}

void add_outbox(CLI::App& app, int& exit_code) {
  auto* outbox = app.add_subcommand("outbox", "The records that wait for the hub");
  outbox->require_subcommand(1);
  using Run = int (*)(const OutboxCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    const auto options = std::make_shared<OutboxCommand>();
    auto* command = outbox->add_subcommand(name, help);
    add_config(*command, options->config)->capture_default_str();
    command->add_option("--data-dir", options->data_dir, "Look there, without a configuration");
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [stats, options] =
      add("stats", "How many, how large, how far the hub is", &run_outbox_stats);
  stats->add_flag("--json", options->json, "Print JSON");
  add("export", "Every waiting record as a line of JSON, oldest first", &run_outbox_export);
}

void add_enrol(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "enrol", "Get this device's certificate from a hub, with a one-time token");
  const auto options = std::make_shared<EnrolCommand>();
  command->add_option("--hub", options->hub, "https://HOST:PORT of the hub")->required();
  command->add_option("--ca", options->ca_file,
                      "Authority of the hub's certificate (PEM); without: the system's");
  command->add_option("--token", options->token,
                      "The token; seen by other users of this machine, so rather:");
  command->add_option("--token-file", options->token_file,
                      "File that holds it; or set LAPWING_ENROL_TOKEN");
  command->add_option("--dir", options->directory, "Folder for the identity, beside agent.toml")
      ->capture_default_str();
  command->add_flag("--replace", options->replace, "Replace the identity that is there");
  command->callback(
      [options, &exit_code] { exit_code = run_enrol(*options, std::cout, std::cerr); });
}

void add_doctor(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "doctor", "Look for what would keep the agent from working, and say the remedy");
  const auto config = std::make_shared<std::filesystem::path>("agent.toml");
  add_config(*command, *config)->capture_default_str();
  command->callback(
      [config, &exit_code] { exit_code = run_doctor(*config, std::cout, std::cerr); });
}

}  // namespace

void add_commands(CLI::App& app, int& exit_code) {
  add_check_config(app, exit_code);
  add_replay(app, exit_code);
  app.add_subcommand("detectors", "List the detectors: what each does, when to choose it, its cost")
      ->callback([&exit_code] { exit_code = run_detectors(std::cout); });
  add_outbox(app, exit_code);
  add_enrol(app, exit_code);
  add_doctor(app, exit_code);
  app.add_subcommand("version", "Print the version")->callback([] {
    std::cout << "lapwing-agent " LAPWING_VERSION "\n";
  });
}

}  // namespace lapwing::agent
