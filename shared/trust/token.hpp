// SPDX-License-Identifier: Apache-2.0
/// Bearer tokens, digests and comparisons that do not tell by their time.
#pragma once

#include "shared/base/secret.hpp"

#include <string>
#include <string_view>

namespace lapwing::trust {

/// SHA-256 as 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// Its 32 bytes.
[[nodiscard]] std::string sha256(std::string_view bytes);
/// HMAC-SHA-256 as 64 lower-case hex digits.
[[nodiscard]] std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);
/// Whether both are the same; takes the same time wherever they differ. Lengths are not hidden.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

/// `lwt_` and 256 random bits in base64url (43 characters).
[[nodiscard]] Secret<std::string> make_token();
/// Whether a text has the form of a token: refuse others before looking anything up.
[[nodiscard]] bool looks_like_token(std::string_view text) noexcept;
/// What is stored of a token: its SHA-256. A plain, fast digest is right here: 256 random bits
/// cannot be guessed from it, salt and slow hashing protect only what people choose themselves, and
/// a deterministic hash can be looked up by index (so no comparison's time tells anything).
[[nodiscard]] std::string token_hash(std::string_view token);

}  // namespace lapwing::trust
