// SPDX-License-Identifier: Apache-2.0
#include "shared/trust/token.hpp"

#include "shared/trust/openssl_util.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>
#include <cstdlib>

namespace lapwing::trust {
namespace {

constexpr std::string_view kPrefix = "lwt_";
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenChars = 43;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(bytes), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  const auto digest = sha256(bytes);
  return hex(bytes_of(digest), digest.size());
}

std::string hmac_sha256_hex(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int size = digest.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
       digest.data(), &size);
  return hex(digest.data(), size);
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Secret<std::string> make_token() {
  std::array<unsigned char, kTokenBytes> random{};
  // Without randomness every token would be guessable: no way to go on.
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) std::abort();
  std::string text(kPrefix);
  unsigned int held = 0;
  int bits = 0;
  for (const unsigned char byte : random) {
    held = (held << 8 | byte) & 0xFFFF;
    for (bits += 8; bits >= 6; bits -= 6) text += kAlphabet[held >> (bits - 6) & 63];
  }
  text += kAlphabet[held << (6 - bits) & 63];
  OPENSSL_cleanse(random.data(), random.size());
  return Secret(std::move(text));
}

bool looks_like_token(std::string_view text) noexcept {
  return text.size() == kPrefix.size() + kTokenChars && text.starts_with(kPrefix) &&
         text.find_first_not_of(kAlphabet, kPrefix.size()) == std::string_view::npos;
}

std::string token_hash(std::string_view token) { return sha256_hex(token); }

}  // namespace lapwing::trust
