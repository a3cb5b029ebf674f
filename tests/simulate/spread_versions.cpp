// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_versions.hpp"

#include "shared/trust/key.hpp"
#include "shared/trust/token.hpp"
#include "tests/simulate/spread_device.hpp"

namespace lapwing::simulate {
namespace {

using std::chrono::hours;

constexpr std::size_t kFileBytes = 12'000;

/// Who signs: made once, since keys have nothing to do with the seed.
struct Signers {
  trust::PrivateKey release = trust::PrivateKey::generate_ed25519().value();
  trust::PrivateKey hub = trust::PrivateKey::generate_ed25519().value();
  release::KeyList list{.number = 1,
                        .threshold = 1,
                        .roots = {"root"},
                        .releases = {release.public_pem()},
                        .hubs = {hub.public_pem()},
                        .expires = kEpoch + hours(24 * 365)};
};
const Signers& signers() {
  static const Signers kSigners;
  return kSigners;
}

}  // namespace

SpreadVersions::SpreadVersions(std::function<void(const std::string&)> wrong)
    : wrong_(std::move(wrong)),
      old_bytes_(kFileBytes, 'o'),
      old_{kOld, trust::sha256_hex(old_bytes_), kFileBytes} {
  add(kNew, std::string(kFileBytes, 'n'));
  add(kUndo, old_bytes_);
}

const release::KeyList& SpreadVersions::keys() { return signers().list; }

void SpreadVersions::add(std::uint64_t number, std::string bytes) {
  const release::Manifest manifest{.model = kModel,
                                   .number = number,
                                   .sha256 = trust::sha256_hex(bytes),
                                   .length = bytes.size(),
                                   .tenant = kTenant,
                                   .device_class = {},
                                   .schema_sha256 = std::string(64, 'c'),
                                   .minimum_agent = {}};
  release::Signed document{manifest};
  if (!document.sign(signers().release)) wrong_("a manifest cannot be signed");
  files_[manifest.sha256] = std::move(bytes);
  manifests_.emplace(number, document);
}

wire::Chunk SpreadVersions::chunk(const wire::Fetch& wanted) const {
  wire::Chunk chunk{
      .sha256 = wanted.sha256, .offset = wanted.offset, .total = 0, .bytes = {}, .problem = {}};
  const auto file = files_.find(wanted.sha256);
  if (file == files_.end()) {
    chunk.problem = "there is no such file";
  } else {
    chunk.total = file->second.size();
    chunk.bytes = file->second.substr(wanted.offset, wanted.length);
  }
  return chunk;
}

const std::string& SpreadVersions::assignment(const std::string& device,
                                              const release::Signed& manifest, Time now) {
  auto& kept = assignments_[{device, manifest.body_sha256()}];
  if (!kept.empty()) return kept;
  release::Signed document{release::Assignment{.tenant = kTenant,
                                               .device = device,
                                               .manifest_sha256 = manifest.body_sha256(),
                                               .issued = now,
                                               .expires = now + hours(24 * 7)}};
  if (!document.sign(signers().hub)) wrong_("an assignment cannot be signed");
  kept = document.encode();
  return kept;
}

}  // namespace lapwing::simulate
