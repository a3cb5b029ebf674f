// SPDX-License-Identifier: Apache-2.0
/// What is signed of a release. The roles follow The Update Framework (Samuel et al., CCS 2010).
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/model/header.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lapwing::release {

inline constexpr std::size_t kDocumentBytesMax = 64 * 1024;
inline constexpr std::size_t kKeysMax = 16;       ///< of a role
inline constexpr std::size_t kKeyBytesMax = 512;  ///< of a public key's PEM
/// Above it a number is no version that anybody counted up to.
inline constexpr std::uint64_t kNumberMax = std::uint64_t{1} << 62U;

/// Who may sign what. Signed by `threshold` of its own roots, and of the list's before it.
struct KeyList {
  std::uint64_t number = 0;  ///< each list's is greater than the one before
  std::uint32_t threshold = 2;
  std::vector<std::string> roots;     ///< public keys (Ed25519, PEM); kept offline
  std::vector<std::string> releases;  ///< of manifests
  std::vector<std::string> hubs;      ///< of assignments
  Time expires{};
  friend bool operator==(const KeyList&, const KeyList&) = default;
};

/// One version of a model. Signed by a release key.
struct Manifest {
  std::string model;         ///< its name over all versions
  std::uint64_t number = 0;  ///< version: greater than the one before, also of older content
  std::string sha256;        ///< of the file
  std::uint64_t length = 0;  ///< of the file, bytes
  std::string tenant;
  std::string device_class;   ///< empty: any
  std::string schema_sha256;  ///< of its sensors: schema_digest()
  std::string minimum_agent;  ///< `1.2.3`; empty: any
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// This device is to run that version. Signed by a hub's key, for days.
struct Assignment {
  std::string tenant;
  std::string device;
  std::string manifest_sha256;  ///< of the signed manifest's body
  Time issued{};
  Time expires{};
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

using Document = std::variant<KeyList, Manifest, Assignment>;

[[nodiscard]] std::string encode(const Document& document);
/// Errors: corrupt (bytes), unsupported (a newer version), bad_input (bounds, digests, numbers).
Result<Document> decode(std::string_view bytes);

/// SHA-256 over names and units of the sensors in their order: two models with the same one take
/// the same rows.
[[nodiscard]] std::string schema_digest(const std::vector<model::Sensor>& sensors);

}  // namespace lapwing::release
