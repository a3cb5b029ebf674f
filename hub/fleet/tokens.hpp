// SPDX-License-Identifier: Apache-2.0
/// API tokens: made once, shown once, found again by their hash.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// What a token may do: look, make enrolment tokens, take all rows to another region, everything.
inline constexpr std::array<std::string_view, 4> kScopes{"read", "enrol", "export", "admin"};
inline constexpr std::size_t kTokenNameMax = 64;  ///< bytes

struct TokenRequest {
  std::string tenant;
  std::string name;  ///< for people, 1 to kTokenNameMax bytes of UTF-8 without control characters
  std::vector<std::string> scopes;  ///< at least one of kScopes
  std::optional<Micros> lifetime;   ///< absent: until it is revoked
};

struct NewToken {
  TokenRow row;
  Secret<std::string> secret;  ///< the only copy; the store has its hash
};

/// Makes a token and writes the audit row. `actor` as in AuditRow.
/// Errors: bad_input (tenant, name, scope, lifetime), and the store's.
Result<NewToken> create_token(Store& store, const TokenRequest& request, std::string_view actor,
                              Time at);

/// Errors: not_found, and the store's.
Result<void> revoke_token(Store& store, std::string_view tenant, std::string_view id,
                          std::string_view actor, Time at);

/// The token a bearer text is. Cost: one indexed read of the store; none for what has not the form
/// of a token. Errors: denied (unknown, revoked, expired: the reason does not tell which to those
/// who guess, since only the holder of a real token gets past "unknown"), and the store's.
Result<TokenRow> authenticate(Store& store, std::string_view bearer, Time at);

/// Whether the token may do what needs `scope`; admin may do everything.
[[nodiscard]] bool allows(const TokenRow& token, std::string_view scope);

}  // namespace lapwing::hub
