// SPDX-License-Identifier: Apache-2.0
#include "hub/cli/commands.hpp"
#include "hub/cli/configured.hpp"
#include "hub/fleet/tokens.hpp"
#include "shared/base/config.hpp"

#include <algorithm>
#include <ostream>

namespace lapwing::hub {
namespace {

int exit_code(const Error& error) {
  if (error.code == Errc::bad_config) return kExitConfig;
  return error.code == Errc::bad_input ? kExitUsage : kExitFailed;
}

int fail(const char* command, const Error& error, std::ostream& err) {
  err << "lapwing-hub token " << command << ": " << error.context << '\n';
  return exit_code(error);
}

std::string words(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ",") + one;
  return text;
}

std::string state_of(const TokenRow& row, Time at) {
  if (row.revoked_at) return "revoked " + to_rfc3339(*row.revoked_at);
  if (!row.expires_at) return "valid";
  return (at < *row.expires_at ? "valid until " : "expired ") + to_rfc3339(*row.expires_at);
}

}  // namespace

int run_token_create(const TokenCommand& command, std::ostream& out, std::ostream& err) {
  TokenRequest request{.tenant = command.tenant,
                       .name = command.name,
                       .scopes = command.scopes,
                       .lifetime = std::nullopt};
  if (!command.expires.empty()) {
    auto lifetime = config::parse_duration(command.expires);
    if (!lifetime) {
      return fail("create", {Errc::bad_input, "--expires: " + lifetime.error().context}, err);
    }
    request.lifetime = *lifetime;
  }
  auto store = configured_store(command.config);
  if (!store) return fail("create", store.error(), err);
  auto made = create_token(**store, request, "cli", now());
  if (!made) return fail("create", made.error(), err);
  out << "token " << made->row.id << " (" << words(made->row.scopes) << ") of tenant "
      << made->row.tenant << ", shown this once only:\n"
      << made->secret.reveal() << '\n';
  return 0;
}

int run_token_list(const TokenCommand& command, std::ostream& out, std::ostream& err) {
  auto store = configured_store(command.config);
  if (!store) return fail("list", store.error(), err);
  PageRequest page{.limit = 1000, .cursor = {}};
  const Time at = now();
  for (;;) {
    auto rows = (*store)->tokens(command.tenant, page);
    if (!rows) return fail("list", rows.error(), err);
    for (const auto& row : rows->items) {
      out << row.id << "  " << words(row.scopes) << "  " << state_of(row, at) << "  " << row.name
          << '\n';
    }
    if (!rows->next_cursor) return 0;
    page.cursor = *rows->next_cursor;
  }
}

int run_token_revoke(const TokenCommand& command, std::ostream& out, std::ostream& err) {
  auto store = configured_store(command.config);
  if (!store) return fail("revoke", store.error(), err);
  if (auto done = revoke_token(**store, command.tenant, command.id, "cli", now()); !done) {
    if (done.error().code == Errc::not_found) {
      return fail("revoke",
                  {Errc::not_found, "tenant " + command.tenant + " has no token " + command.id +
                                        "; see `lapwing-hub token list`"},
                  err);
    }
    return fail("revoke", done.error(), err);
  }
  out << "token " << command.id << " is revoked\n";
  return 0;
}

}  // namespace lapwing::hub
