// SPDX-License-Identifier: Apache-2.0
/// A document with its signatures.
#pragma once

#include "shared/base/result.hpp"
#include "shared/release/documents.hpp"
#include "shared/trust/key.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::release {

inline constexpr std::size_t kSignaturesMax = 32;
inline constexpr std::size_t kSignedBytesMax = kDocumentBytesMax + 16 * 1024;

/// The first 16 hex digits of the SHA-256 of a public key's PEM: finds it in a list.
[[nodiscard]] std::string key_id(std::string_view public_pem);

/// Signatures are Ed25519 over a label that names the document's kind, and the document's bytes as
/// they are: one made for a manifest is worth nothing on a key list.
class Signed {
 public:
  explicit Signed(const Document& document);
  /// Errors: corrupt, limit, unsupported, bad_input: of the signatures' frame or of the document.
  static Result<Signed> decode(std::string_view bytes);

  /// Adds this key's; in place of an earlier one of the same key. Errors: limit, bad_input.
  Result<void> sign(const trust::PrivateKey& key);
  [[nodiscard]] std::string encode() const;

  [[nodiscard]] const Document& document() const noexcept { return document_; }
  [[nodiscard]] std::string_view body() const noexcept { return body_; }
  [[nodiscard]] std::string body_sha256() const;
  /// Which of these keys signed it, each once. Others' signatures do not matter.
  [[nodiscard]] std::vector<std::string> signers_among(std::span<const std::string> keys) const;

 private:
  struct Signature {
    std::string key_id;
    std::string bytes;
  };
  Signed(std::string body, Document document)
      : body_(std::move(body)), document_(std::move(document)) {}
  [[nodiscard]] std::string message() const;

  std::string body_;
  Document document_;
  std::vector<Signature> signatures_;
};

}  // namespace lapwing::release
