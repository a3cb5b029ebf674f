// SPDX-License-Identifier: Apache-2.0
/// The commands of `lapwing-hub` besides `serve`: init, token, authority, renew, keys, train,
/// migrate, version.
#pragma once

#include "hub/fleet/init.hpp"
#include "shared/base/exit_codes.hpp"
#include "shared/csv/read_rows.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lapwing::hub {

/// Makes a new hub's folder and prints what to do next, with the first admin token.
int run_init(const InitOptions& options, std::ostream& out, std::ostream& err);

struct TokenCommand {
  std::filesystem::path config;  ///< hub.toml; says where the store is
  std::string tenant = "default";
  std::string name;
  std::vector<std::string> scopes;
  std::string expires;  ///< "30d"; empty: never
  std::string id;       ///< revoke
};
int run_token_create(const TokenCommand& command, std::ostream& out, std::ostream& err);
int run_token_list(const TokenCommand& command, std::ostream& out, std::ostream& err);
int run_token_revoke(const TokenCommand& command, std::ostream& out, std::ostream& err);

struct MigrateCommand {
  std::filesystem::path config;         ///< hub.toml; says where the SQLite store is
  std::string to;                       ///< URL of an empty PostgreSQL database
  std::filesystem::path password_file;  ///< of its user; empty: none is needed
  bool keep_config = false;             ///< hub.toml stays; what to put into it is told
  bool progress_moves = false;          ///< `out` is a terminal: lines are written over
};
/// Moves the store of a stopped hub to PostgreSQL (hub/migrate), and hub.toml with it.
int run_migrate(const MigrateCommand& command, std::ostream& out, std::ostream& err);

struct AuthorityCommand {
  std::filesystem::path config;  ///< hub.toml; says where the folder and the store are
  bool force = false;            ///< retire: devices may be locked out
};
int run_authority_rotate(const AuthorityCommand& command, std::ostream& out, std::ostream& err);
int run_authority_status(const AuthorityCommand& command, std::ostream& out, std::ostream& err);
int run_authority_retire(const AuthorityCommand& command, std::ostream& out, std::ostream& err);
/// The hub's own certificates, whatever is left of their life.
int run_renew(const AuthorityCommand& command, std::ostream& out, std::ostream& err);

struct KeysCommand {
  std::filesystem::path config;    ///< hub.toml; says where the store is
  std::filesystem::path file;      ///< import: a signed key list
  std::string tenant = "default";  ///< whose audit log tells of it
};
/// Who may sign models: the first list as it is, later ones as a device takes them.
int run_keys_import(const KeysCommand& command, std::ostream& out, std::ostream& err);
/// All lists, oldest first.
int run_keys_list(const KeysCommand& command, std::ostream& out, std::ostream& err);

struct HubTrainCommand {
  std::filesystem::path config;  ///< hub.toml; says where the store is
  std::string tenant = "default";
  csv::ReadOptions reading;  ///< `value_columns`: the sensors
  std::string detector = "isolation_forest";
  std::vector<std::string> set;    ///< `name=value`: the detector's parameters
  std::vector<std::string> units;  ///< `sensor=unit`
  std::uint64_t seed = 1;
  double hold_out = 0.2;
  double alarms_per_week = 1;
  bool progress_moves = false;  ///< `err` is a terminal: a line is written over
};
/// Trains a model file and keeps it in the store with its evaluation.
int run_train(const HubTrainCommand& command, std::ostream& out, std::ostream& err);

/// Adds `init`, `token create|list|revoke`, `authority rotate|status|retire`, `renew`,
/// `keys import|list`, `train`, `migrate` and `version` to the program. Parsing runs the one that
/// was given; `exit_code`, which must outlive the parsing, is its result.
void add_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::hub
