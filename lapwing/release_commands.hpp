// SPDX-License-Identifier: Apache-2.0
/// `lapwing keys` and `lapwing model`: they work on files alone, so that root and release keys can
/// stay on a machine without a network.
#pragma once

#include "shared/base/exit_codes.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lapwing::cli {

/// `NAME.key` (0600) and `NAME.pub`.
int run_keys_new(const std::filesystem::path& name, std::ostream& out, std::ostream& err);

struct KeyListCommand {
  std::vector<std::filesystem::path> roots;  ///< public keys
  std::vector<std::filesystem::path> releases;
  std::vector<std::filesystem::path> hubs;
  std::uint32_t threshold = 2;
  std::uint64_t number = 1;
  std::string expires = "365d";
  std::filesystem::path out = "keys.lwk";
};
/// Writes a key list without a signature.
int run_keys_list(const KeyListCommand& command, std::ostream& out, std::ostream& err);
/// Adds a signature to a document's file.
int run_keys_sign(const std::filesystem::path& file, const std::filesystem::path& key,
                  std::ostream& out, std::ostream& err);
/// What a document says, and who of the keys it names signed it.
int run_keys_show(const std::filesystem::path& file, std::ostream& out, std::ostream& err);

struct SignCommand {
  std::filesystem::path file;  ///< the model
  std::filesystem::path key;   ///< a release key
  std::string model;
  std::uint64_t number = 1;
  std::string tenant;
  std::string device_class;
  std::string minimum_agent;
  std::filesystem::path out;  ///< empty: the model's name with `.manifest`
  /// The model file before; empty: none. It is signed as the next version, with which a rollout
  /// goes back: the model's name with `.undo.manifest`.
  std::filesystem::path undo;
};
int run_model_sign(const SignCommand& command, std::ostream& out, std::ostream& err);

struct VerifyCommand {
  std::filesystem::path file;
  std::filesystem::path manifest;  ///< empty: as above
  std::filesystem::path keys = "keys.lwk";
};
/// Exit code 1 where the model is not what a release key of the list signed.
int run_model_verify(const VerifyCommand& command, std::ostream& out, std::ostream& err);

void add_release_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::cli
