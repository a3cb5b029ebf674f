// SPDX-License-Identifier: Apache-2.0
#include "shared/release/signed.hpp"

#include "schemas/signed_generated.h"
#include "schemas/verified.hpp"
#include "shared/trust/token.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lapwing::release {
namespace {

constexpr unsigned kSignedVersion = 1;
constexpr std::size_t kKeyIdDigits = 16;
constexpr std::size_t kSignatureBytes = 64;

std::string bytes_of(const flatbuffers::Vector<std::uint8_t>& vector) {
  return {reinterpret_cast<const char*>(vector.data()), vector.size()};
}

const std::uint8_t* octets(std::string_view bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

}  // namespace

std::string key_id(std::string_view public_pem) {
  return trust::sha256_hex(public_pem).substr(0, kKeyIdDigits);
}

Signed::Signed(const Document& document)
    : body_(lapwing::release::encode(document)), document_(document) {}

std::string Signed::message() const {
  constexpr std::array<std::string_view, 3> kLabels{"lapwing key list 1\n", "lapwing manifest 1\n",
                                                    "lapwing assignment 1\n"};
  return std::string(kLabels[document_.index()]).append(body_);
}

Result<void> Signed::sign(const trust::PrivateKey& key) {
  auto signature = trust::sign(key, message());
  if (!signature) return signature.error();
  const auto id = key_id(key.public_pem());
  std::erase_if(signatures_, [&](const Signature& one) { return one.key_id == id; });
  if (signatures_.size() >= kSignaturesMax) {
    return Error{Errc::limit, "a document has 32 signatures at most"};
  }
  signatures_.push_back({id, *std::move(signature)});
  return {};
}

std::string Signed::body_sha256() const { return trust::sha256_hex(body_); }

std::vector<std::string> Signed::signers_among(std::span<const std::string> keys) const {
  std::vector<std::string> signers;
  const auto text = message();
  for (const auto& key : keys) {
    const auto id = key_id(key);
    const bool good = std::ranges::any_of(signatures_, [&](const Signature& one) {
      return one.key_id == id && trust::verify_signature(key, text, one.bytes).has_value();
    });
    if (good && std::ranges::find(signers, key) == signers.end()) signers.push_back(key);
  }
  return signers;
}

std::string Signed::encode() const {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<fbs::Signature>> signatures;
  for (const auto& one : signatures_) {
    signatures.push_back(fbs::CreateSignature(b, b.CreateString(one.key_id),
                                              b.CreateVector(octets(one.bytes), one.bytes.size())));
  }
  const auto body = b.CreateVector(octets(body_), body_.size());
  fbs::FinishSignedBuffer(b,
                          fbs::CreateSigned(b, kSignedVersion, body, b.CreateVector(signatures)));
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

Result<Signed> Signed::decode(std::string_view bytes) {
  if (bytes.size() > kSignedBytesMax) return Error{Errc::limit, "signed document too long"};
  const schemas::Verified<fbs::Signed> verified(bytes, fbs::SignedIdentifier(), kSignaturesMax + 4);
  if (!verified) return Error{Errc::corrupt, "signed document: damaged bytes"};
  const auto& table = *verified;
  if (table.version() > kSignedVersion) {
    return Error{Errc::unsupported, "signed document version " + std::to_string(table.version()) +
                                        " is newer than this program: update it"};
  }
  if (table.signatures()->size() > kSignaturesMax) {
    return Error{Errc::limit, "a document has 32 signatures at most"};
  }
  auto body = bytes_of(*table.body());
  auto document = lapwing::release::decode(body);
  if (!document) return document.error();
  Signed read(std::move(body), *std::move(document));
  for (const auto* one : *table.signatures()) {
    if (one->key_id()->size() != kKeyIdDigits || one->bytes()->size() != kSignatureBytes) {
      return Error{Errc::bad_input, "signed document: a signature that is none"};
    }
    read.signatures_.push_back({one->key_id()->str(), bytes_of(*one->bytes())});
  }
  return read;
}

}  // namespace lapwing::release
