// SPDX-License-Identifier: Apache-2.0
/// The commands of `lapwing-hub` besides `serve`: init, token, authority, renew, migrate, version.
#pragma once

#include "hub/fleet/init.hpp"
#include "shared/base/exit_codes.hpp"

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

/// Adds `init`, `token create|list|revoke`, `authority rotate|status|retire`, `renew`,
/// `migrate` and `version` to the program. Parsing runs the one that was given; `exit_code`, which
/// must outlive the parsing, is its result.
void add_commands(CLI::App& app, int& exit_code);

}  // namespace lapwing::hub
