// SPDX-License-Identifier: Apache-2.0
/// Private keys: EC P-256 for TLS, Ed25519 for signatures of our own.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/trust/openssl_fwd.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace lapwing::trust {

/// A private key in memory. Ownership: movable, not copyable; OpenSSL wipes it at the end.
/// Errors: corrupt (OpenSSL failed), bad_input (not a private key), limit (PEM too long).
/// Threads: a shared key may be used by several threads for signing.
class PrivateKey {
 public:
  /// EC P-256, from the system's random generator. Cost: under a millisecond.
  static Result<PrivateKey> generate();
  static Result<PrivateKey> generate_ed25519();
  /// Unencrypted PEM (PKCS#8 or SEC1).
  static Result<PrivateKey> from_pem(std::string_view pem);
  /// Errors: also not_found, denied; the file is named.
  static Result<PrivateKey> load(const std::filesystem::path& file);

  [[nodiscard]] Secret<std::string> pem() const;
  [[nodiscard]] std::string public_pem() const;
  /// PEM with mode 0600, atomically. Errors: exists (a key is never overwritten), denied, io.
  Result<void> write_new(const std::filesystem::path& file) const;

  [[nodiscard]] evp_pkey_st* handle() const noexcept { return handle_.get(); }

 private:
  explicit PrivateKey(KeyHandle handle) : handle_(std::move(handle)) {}
  KeyHandle handle_;
};

/// Ed25519 over the message itself: 64 bytes. Errors: bad_input (not an Ed25519 key).
Result<std::string> sign(const PrivateKey& key, std::string_view message);
/// Whether `signature` was made over `message` by the owner of this Ed25519 key (PEM).
/// Errors: bad_input (not an Ed25519 public key), denied (the signature is wrong).
Result<void> verify_signature(std::string_view public_pem, std::string_view message,
                              std::string_view signature);

}  // namespace lapwing::trust
