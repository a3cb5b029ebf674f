// SPDX-License-Identifier: Apache-2.0
/// The command line of `lapwing model push|list|show|pull` and `lapwing train`.
#include "lapwing/registry_commands.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

namespace lapwing::cli {

void add_registry_commands(CLI::App& model, int& exit_code) {
  auto* push = model.add_subcommand("push", "Bring a model file and its versions to the hub");
  const auto pushed = std::make_shared<PushCommand>();
  push->add_option("file", pushed->file, "The model file")->required();
  push->add_option("--manifest", pushed->manifests,
                   "A signed version of it; without: what `model sign` wrote beside it")
      ->allow_extra_args(false);
  push->add_flag("--json", pushed->json, "One JSON object per line");
  push->callback(
      [pushed, &exit_code] { exit_code = run_model_push(*pushed, std::cout, std::cerr); });

  auto* list = model.add_subcommand("list", "List the hub's models");
  const auto listed = std::make_shared<ModelListCommand>();
  list->add_flag("--files", listed->files, "Model files instead, with those nobody signed");
  list->add_flag("--json", listed->json, "One JSON object per line");
  list->callback(
      [listed, &exit_code] { exit_code = run_model_list(*listed, std::cout, std::cerr); });

  auto* show = model.add_subcommand("show", "Versions of a model, or what a model file holds");
  const auto shown = std::make_shared<ModelShowCommand>();
  show->add_option("what", shown->what, "A model's name, or a model file's SHA-256")->required();
  show->add_flag("--json", shown->json, "As JSON");
  show->callback([shown, &exit_code] { exit_code = run_model_show(*shown, std::cout, std::cerr); });

  auto* pull = model.add_subcommand("pull", "Fetch a model file from the hub");
  const auto pulled = std::make_shared<PullCommand>();
  pull->add_option("what", pulled->what, "A model's name, or a model file's SHA-256")->required();
  pull->add_option("--number", pulled->number, "The version; without: the newest");
  pull->add_option("--out", pulled->out, "Where to");
  pull->callback(
      [pulled, &exit_code] { exit_code = run_model_pull(*pulled, std::cout, std::cerr); });
}

void add_keys_push(CLI::App& keys, int& exit_code) {
  auto* push =
      keys.add_subcommand("push", "Bring a signed key list to a hub that has one before it");
  const auto file = std::make_shared<std::filesystem::path>();
  push->add_option("file", *file, "The list")->required();
  push->callback([file, &exit_code] { exit_code = run_keys_push(*file, std::cout, std::cerr); });
}

void add_train_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("train", "Have the hub train a model file on a CSV file");
  const auto wanted = std::make_shared<TrainCommand>();
  command->add_option("file", wanted->file, "CSV: a column a sensor")->required();
  command->add_option("--name", wanted->name, "What it is, for people");
  command->add_option("--detector", wanted->detector, "A trained one")->capture_default_str();
  command->add_option("--value", wanted->values, "The sensors' columns; without: all of numbers")
      ->delimiter(',');
  command->add_option("--time", wanted->time, "The times' column");
  command->add_option("--label-column", wanted->label, "Labels, not trained on");
  command->add_option("--unit", wanted->units, "SENSOR=UNIT; repeatable")->allow_extra_args(false);
  command->add_option("--set", wanted->set, "NAME=NUMBER: a parameter; repeatable")
      ->allow_extra_args(false);
  command->add_option("--seed", wanted->seed, "Of what is random")->capture_default_str();
  command->add_option("--hold-out", wanted->hold_out, "Share of the newest rows not trained on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_option("--alarms-per-week", wanted->alarms_per_week, "For the evaluation")
      ->check(CLI::Range(0.001, 10'000.0))
      ->capture_default_str();
  command->add_flag("--json", wanted->json, "The result as JSON");
  command->callback([wanted, &exit_code] { exit_code = run_train(*wanted, std::cout, std::cerr); });
}

}  // namespace lapwing::cli
