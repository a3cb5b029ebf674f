// SPDX-License-Identifier: Apache-2.0
/// `lapwing model push|list|show|pull`, `lapwing keys push` and `lapwing train`: models of the hub
/// that one is logged in to.
#pragma once

#include "lapwing/hub.hpp"
#include "shared/base/exit_codes.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace lapwing::cli {

struct PushCommand {
  std::filesystem::path file;  ///< the model
  /// Empty: those that `lapwing model sign` wrote beside it, as far as they are there.
  std::vector<std::filesystem::path> manifests;
  bool json = false;
};
/// Brings a model file, verified here and there, and its signed versions.
int run_model_push(const PushCommand& command, std::ostream& out, std::ostream& err);

struct ModelListCommand {
  bool files = false;  ///< model files instead of models
  bool json = false;
};
int run_model_list(const ModelListCommand& command, std::ostream& out, std::ostream& err);

struct ModelShowCommand {
  std::string what;  ///< a model's name, or the SHA-256 of a model file
  bool json = false;
};
int run_model_show(const ModelShowCommand& command, std::ostream& out, std::ostream& err);

struct PullCommand {
  std::string what;           ///< as above; of a model its newest version
  std::uint64_t number = 0;   ///< that version; 0: the newest
  std::filesystem::path out;  ///< empty: the name, or the SHA-256's begin, with .lw
};
/// Fetches a model file and verifies it; of a version its signed manifest too.
int run_model_pull(const PullCommand& command, std::ostream& out, std::ostream& err);

struct TrainCommand {
  std::filesystem::path file;  ///< CSV
  std::string name;            ///< for people; empty: the file's
  std::string detector = "isolation_forest";
  std::vector<std::string> values;  ///< columns; empty: every one of numbers
  std::string time;                 ///< column; empty: as the hub finds it
  std::string label;
  std::vector<std::string> units;  ///< `sensor=unit`
  std::vector<std::string> set;    ///< `name=number`
  std::uint64_t seed = 1;
  double hold_out = 0.2;
  double alarms_per_week = 1;
  bool json = false;
};
/// Brings the file, has a worker train on it, and waits: progress goes to `err`.
int run_train(const TrainCommand& command, std::ostream& out, std::ostream& err);

/// Brings a signed key list to a hub that has one it follows.
int run_keys_push(const std::filesystem::path& file, std::ostream& out, std::ostream& err);

/// Brings bytes in pieces and completes them. The upload's id.
Result<std::uint64_t> upload(const Hub& hub, const std::string& name, std::string_view bytes,
                             std::ostream& err);

/// To the command `model`; to `keys`; and `train` to the program.
void add_registry_commands(CLI::App& model, int& exit_code);
void add_keys_push(CLI::App& keys, int& exit_code);
void add_train_command(CLI::App& app, int& exit_code);

}  // namespace lapwing::cli
