// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/tokens.hpp"

#include "shared/base/ids.hpp"
#include "shared/base/utf8.hpp"
#include "shared/trust/token.hpp"
#include "shared/wire/topics.hpp"

#include <algorithm>

namespace lapwing::hub {
namespace {

constexpr std::size_t kIdChars = 16;

bool printable(std::string_view text) {
  return valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

Result<void> check(const TokenRequest& request) {
  if (!wire::valid_name(request.tenant)) {
    return Error{Errc::bad_input,
                 "tenant: 1 to 64 of A-Z a-z 0-9 . _ - are allowed, not starting with a dot"};
  }
  if (request.name.empty() || request.name.size() > kTokenNameMax || !printable(request.name)) {
    return Error{Errc::bad_input, "name: 1 to " + std::to_string(kTokenNameMax) +
                                      " bytes of printable text are allowed"};
  }
  if (request.scopes.empty()) {
    return Error{Errc::bad_input, "scopes: at least one of read, enrol, export, admin is needed"};
  }
  for (const auto& scope : request.scopes) {
    if (std::find(kScopes.begin(), kScopes.end(), scope) == kScopes.end()) {
      return Error{Errc::bad_input, "scope \"" + scope.substr(0, 32) +
                                        "\": read, enrol, export and admin are allowed"};
    }
  }
  if (request.lifetime && request.lifetime->count() <= 0) {
    return Error{Errc::bad_input, "lifetime: must be longer than zero"};
  }
  return {};
}

}  // namespace

Result<NewToken> create_token(Store& store, const TokenRequest& request, std::string_view actor,
                              Time at) {
  if (auto good = check(request); !good) return std::move(good).error();
  NewToken made;
  made.secret = trust::make_token();
  made.row.tenant = request.tenant;
  made.row.id = random_id().substr(0, kIdChars);
  made.row.name = request.name;
  made.row.hash = trust::token_hash(made.secret.reveal());
  for (const auto scope : kScopes) {  // each once, in a fixed order
    if (std::find(request.scopes.begin(), request.scopes.end(), scope) != request.scopes.end()) {
      made.row.scopes.emplace_back(scope);
    }
  }
  made.row.created_at = at;
  if (request.lifetime) made.row.expires_at = at + *request.lifetime;
  if (auto added = store.add_token(made.row); !added) return std::move(added).error();
  AuditRow row{.tenant = request.tenant,
               .at = at,
               .actor = std::string(actor),
               .action = "token.create",
               .subject = made.row.id,
               .detail = request.name};
  if (auto noted = store.add_audit(row); !noted) return std::move(noted).error();
  return made;
}

Result<void> revoke_token(Store& store, std::string_view tenant, std::string_view id,
                          std::string_view actor, Time at) {
  if (auto revoked = store.revoke_token(tenant, id, at); !revoked) return revoked;
  return store.add_audit({.tenant = std::string(tenant),
                          .at = at,
                          .actor = std::string(actor),
                          .action = "token.revoke",
                          .subject = std::string(id)});
}

Result<TokenRow> authenticate(Store& store, std::string_view bearer, Time at) {
  const Error unknown{Errc::denied, "the token is not known here; check that it was copied whole"};
  if (!trust::looks_like_token(bearer)) return unknown;
  auto token = store.token_by_hash(trust::token_hash(bearer));
  if (!token) {
    return token.error().code == Errc::not_found ? unknown : std::move(token).error();
  }
  if (token->usable(at)) return token;
  if (token->revoked_at) return Error{Errc::denied, "the token was revoked; ask for a new one"};
  return Error{Errc::denied, "the token has expired; ask for a new one"};
}

bool allows(const TokenRow& token, std::string_view scope) {
  return std::any_of(token.scopes.begin(), token.scopes.end(),
                     [&](const auto& one) { return one == scope || one == "admin"; });
}

}  // namespace lapwing::hub
