// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"

#include "hub/fleet/tokens.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <unistd.h>

namespace lapwing::hub {
namespace {

void add_init(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "init", "Make a new hub's folder: authority, certificates, broker configuration, token");
  const auto options = std::make_shared<InitOptions>();
  options->run_as_root = ::geteuid() == 0;
  command->add_option("--dir", options->directory, "Folder to make; must not hold a hub yet")
      ->required();
  command->add_option("--authority", options->authority,
                      "Another hub's folder whose authority (ca.pem, ca.key) is taken instead of "
                      "making one: for replicas of one hub");
  command->add_option("--tenant", options->tenant, "Tenant of the first token")
      ->capture_default_str();
  command
      ->add_option("--host", options->hosts,
                   "Name or address by which devices and people reach this hub (of replicas: their "
                   "balancer); repeatable, the first is told to devices")
      ->allow_extra_args(false);
  command->add_option("--mqtt-listen", options->mqtt_listen, "Broker's address")
      ->capture_default_str();
  command->add_option("--mqtt-port", options->mqtt_port, "Broker's TLS port")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command
      ->add_option("--public-port", options->public_port,
                   "The broker's port as devices reach it, if it is another (a balancer's)")
      ->check(CLI::Range(1, 65535));
  command->add_option("--http-listen", options->http_listen, "HTTP address")->capture_default_str();
  command->add_option("--http-port", options->http_port, "HTTP port; 0 takes any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_option(
      "--store", options->store_url,
      "PostgreSQL database, as in postgresql://hub@db.example:5432/lapwing; without "
      "it SQLite in the folder");
  command->add_option("--store-password-file", options->store_password_file,
                      "File with the password of the database's user");
  command->callback(
      [options, &exit_code] { exit_code = run_init(*options, std::cout, std::cerr); });
}

void add_token(CLI::App& app, int& exit_code) {
  auto* token = app.add_subcommand("token", "API tokens: create, list, revoke");
  token->require_subcommand(1);
  using Run = int (*)(const TokenCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    const auto options = std::make_shared<TokenCommand>();
    options->config = "hub.toml";
    auto* command = token->add_subcommand(name, help);
    command->add_option("--config", options->config, "The hub's hub.toml")->capture_default_str();
    command->add_option("--tenant", options->tenant, "Tenant")->capture_default_str();
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [create, wanted] = add("create", "Make a token; it is shown once", &run_token_create);
  create->add_option("--name", wanted->name, "Who or what it is for")->required();
  create
      ->add_option("--scope", wanted->scopes,
                   "read (look), enrol (make enrolment tokens), export (take all rows to another "
                   "region), admin (everything); repeatable")
      ->allow_extra_args(false)
      ->required();
  create->add_option("--expires", wanted->expires, "Lifetime, as 30d; without: until revoked");
  add("list", "List a tenant's tokens", &run_token_list);
  const auto [revoke, doomed] = add("revoke", "End a token", &run_token_revoke);
  revoke->add_option("id", doomed->id, "The token's id, as `list` shows it")->required();
}

void add_migrate(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "migrate", "Move the store of a stopped hub from SQLite to PostgreSQL; devices go on");
  const auto options = std::make_shared<MigrateCommand>();
  options->config = "hub.toml";
  options->progress_moves = ::isatty(STDOUT_FILENO) != 0;
  command->add_option("--config", options->config, "The hub's hub.toml")->capture_default_str();
  command
      ->add_option("--to", options->to,
                   "An empty PostgreSQL database, as postgresql://hub@db.example:5432/lapwing")
      ->required();
  command->add_option("--password-file", options->password_file,
                      "File with the password of the database's user");
  command->add_flag("--keep-config", options->keep_config,
                    "Leave hub.toml as it is; only tell what to put into it");
  command->callback(
      [options, &exit_code] { exit_code = run_migrate(*options, std::cout, std::cerr); });
}

void add_authority(CLI::App& app, int& exit_code) {
  auto* authority = app.add_subcommand("authority", "The certificate authority: replace it");
  authority->require_subcommand(1);
  using Run = int (*)(const AuthorityCommand&, std::ostream&, std::ostream&);
  const auto add = [&](CLI::App& to, const char* name, const char* help, Run run) {
    const auto options = std::make_shared<AuthorityCommand>();
    options->config = "hub.toml";
    auto* command = to.add_subcommand(name, help);
    command->add_option("--config", options->config, "The hub's hub.toml")->capture_default_str();
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  add(*authority, "rotate", "Make a new authority beside the old one", &run_authority_rotate);
  add(*authority, "status", "How many devices hold certificates of each", &run_authority_status);
  const auto [retire, wanted] =
      add(*authority, "retire", "Drop the old one, once no device needs it", &run_authority_retire);
  retire->add_flag("--force", wanted->force, "Even if devices are locked out by it");
  add(app, "renew", "New certificates for the hub itself and its broker", &run_renew);
}

void add_keys(CLI::App& app, int& exit_code) {
  auto* keys = app.add_subcommand("keys", "Who may sign models: take a key list, list them");
  keys->require_subcommand(1);
  using Run = int (*)(const KeysCommand&, std::ostream&, std::ostream&);
  const auto add = [&](const char* name, const char* help, Run run) {
    const auto options = std::make_shared<KeysCommand>();
    options->config = "hub.toml";
    auto* command = keys->add_subcommand(name, help);
    command->add_option("--config", options->config, "The hub's hub.toml")->capture_default_str();
    command->callback(
        [options, run, &exit_code] { exit_code = run(*options, std::cout, std::cerr); });
    return std::pair(command, options);
  };
  const auto [import, wanted] =
      add("import", "Take a signed key list: the first as it is, later ones as devices do",
          &run_keys_import);
  import->add_option("file", wanted->file, "What `lapwing keys` made, as keys.lwk")->required();
  import->add_option("--tenant", wanted->tenant, "Whose audit log tells of it")
      ->capture_default_str();
  add("list", "All key lists, oldest first", &run_keys_list);
}

void add_train(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("train", "Train a model file and keep it in the store");
  const auto options = std::make_shared<HubTrainCommand>();
  options->config = "hub.toml";
  options->reading.value_columns.clear();
  options->progress_moves = ::isatty(STDERR_FILENO) != 0;
  command->add_option("file", options->reading.file, "CSV: a column a sensor")->required();
  command->add_option("--config", options->config, "The hub's hub.toml")->capture_default_str();
  command->add_option("--tenant", options->tenant, "Whose model it is")->capture_default_str();
  command
      ->add_option("--detector", options->detector, "A trained one, see `lapwing-agent detectors`")
      ->capture_default_str();
  command
      ->add_option("--value", options->reading.value_columns,
                   "The sensors' columns; without: every column of numbers")
      ->delimiter(',');
  command->add_option("--timestamp-column", options->reading.timestamp_column, "The times")
      ->capture_default_str();
  command->add_option("--label-column", options->reading.label_column, "Labels, not trained on");
  command->add_option("--unit", options->units, "SENSOR=UNIT; repeatable")->allow_extra_args(false);
  command->add_option("--set", options->set, "NAME=NUMBER: a parameter; repeatable")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "Of what is random")->capture_default_str();
  command->add_option("--hold-out", options->hold_out, "Share of the newest rows not trained on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_option("--alarms-per-week", options->alarms_per_week, "For the evaluation")
      ->check(CLI::Range(0.001, 10'000.0))
      ->capture_default_str();
  command->callback([options, &exit_code] {
    if (options->reading.value_columns.empty()) {
      options->reading.value_columns = {std::string(csv::kEveryColumn)};
    }
    exit_code = run_train(*options, std::cout, std::cerr);
  });
}

}  // namespace

void add_commands(CLI::App& app, int& exit_code) {
  add_init(app, exit_code);
  add_token(app, exit_code);
  add_migrate(app, exit_code);
  add_authority(app, exit_code);
  add_keys(app, exit_code);
  add_train(app, exit_code);
  app.add_subcommand("version", "Print the version")->callback([&exit_code] {
    std::cout << "lapwing-hub " LAPWING_VERSION "\n";
    exit_code = 0;
  });
}

}  // namespace lapwing::hub
