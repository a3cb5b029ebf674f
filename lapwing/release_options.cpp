// SPDX-License-Identifier: Apache-2.0
/// The command line of `lapwing keys` and `lapwing model`.
#include "lapwing/registry_commands.hpp"
#include "lapwing/release_commands.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

namespace lapwing::cli {
namespace {

void add_keys(CLI::App& app, int& exit_code) {
  auto* keys = app.add_subcommand("keys", "Keys that sign models, and who may sign");
  keys->require_subcommand(1);
  add_keys_push(*keys, exit_code);

  auto* make = keys->add_subcommand("new", "Make a signing key: NAME.key and NAME.pub");
  const auto name = std::make_shared<std::filesystem::path>();
  make->add_option("name", *name, "Where, without an ending")->required();
  make->callback([name, &exit_code] { exit_code = run_keys_new(*name, std::cout, std::cerr); });

  auto* list = keys->add_subcommand("list", "Write a key list, to be signed by root keys");
  const auto wanted = std::make_shared<KeyListCommand>();
  list->add_option("--root", wanted->roots, "A root's public key; several times")->required();
  list->add_option("--release", wanted->releases, "A key that signs models")->required();
  list->add_option("--hub", wanted->hubs, "A key with which a hub assigns models")->required();
  list->add_option("--threshold", wanted->threshold, "Root keys that must sign")
      ->capture_default_str();
  list->add_option("--number", wanted->number, "Greater than that of the list before")
      ->capture_default_str();
  list->add_option("--expires", wanted->expires, "How long it holds")->capture_default_str();
  list->add_option("--out", wanted->out, "Its file")->capture_default_str();
  list->callback(
      [wanted, &exit_code] { exit_code = run_keys_list(*wanted, std::cout, std::cerr); });

  auto* sign = keys->add_subcommand("sign", "Add a signature to a key list");
  const auto file = std::make_shared<std::filesystem::path>();
  const auto key = std::make_shared<std::filesystem::path>();
  sign->add_option("file", *file, "The list")->required();
  sign->add_option("--key", *key, "The private key")->required();
  sign->callback(
      [file, key, &exit_code] { exit_code = run_keys_sign(*file, *key, std::cout, std::cerr); });

  auto* show = keys->add_subcommand("show", "Say what a signed document holds");
  const auto shown = std::make_shared<std::filesystem::path>();
  show->add_option("file", *shown, "A key list, a manifest or an assignment")->required();
  show->callback([shown, &exit_code] { exit_code = run_keys_show(*shown, std::cout, std::cerr); });
}

}  // namespace

void add_release_commands(CLI::App& app, int& exit_code) {
  add_keys(app, exit_code);
  auto* model = app.add_subcommand("model", "Sign, verify and bring model files");
  model->require_subcommand(1);
  add_registry_commands(*model, exit_code);

  auto* sign = model->add_subcommand("sign", "Write a model's manifest, signed with a release key");
  const auto signing = std::make_shared<SignCommand>();
  sign->add_option("file", signing->file, "The model file")->required();
  sign->add_option("--key", signing->key, "A release key")->required();
  sign->add_option("--model", signing->model, "Its name, over all versions")->required();
  sign->add_option("--number", signing->number, "Its version: greater than every one before")
      ->required();
  sign->add_option("--tenant", signing->tenant, "Whose devices may run it")->required();
  sign->add_option("--class", signing->device_class, "Which class of devices; without: any");
  sign->add_option("--min-agent", signing->minimum_agent, "The oldest agent that can run it");
  sign->add_option("--out", signing->out, "Its file; without: the model's with .manifest");
  sign->add_option(
      "--undo", signing->undo,
      "The model file before, signed as the next version: a rollout goes back with it");
  sign->callback(
      [signing, &exit_code] { exit_code = run_model_sign(*signing, std::cout, std::cerr); });

  auto* verify = model->add_subcommand("verify", "Say whether a model is what was signed");
  const auto verifying = std::make_shared<VerifyCommand>();
  verify->add_option("file", verifying->file, "The model file")->required();
  verify->add_option("--manifest", verifying->manifest, "Without: the model's with .manifest");
  verify->add_option("--keys", verifying->keys, "The key list")->capture_default_str();
  verify->callback(
      [verifying, &exit_code] { exit_code = run_model_verify(*verifying, std::cout, std::cerr); });
}

}  // namespace lapwing::cli
