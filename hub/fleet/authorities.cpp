// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/authorities.hpp"

#include "shared/base/files.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {

namespace {
namespace fs = std::filesystem;
}  // namespace

/// While an authority is replaced the key of the new one may still be beside its place.
Result<trust::Authority> load_signer(const fs::path& folder) {
  auto signer = trust::Authority::load(folder / "ca.pem", folder / "ca.key");
  std::error_code failed;
  if (signer || !fs::exists(folder / "ca.new.key", failed)) return signer;
  auto other = trust::Authority::load(folder / "ca.pem", folder / "ca.new.key");
  return other ? std::move(other) : std::move(signer);
}

Authorities Authorities::of(trust::Authority authority) {
  Authorities made;
  made.bundle_pem_ = authority.certificate().pem();
  made.all_.push_back(std::move(authority));
  return made;
}

Result<Authorities> Authorities::load(const fs::path& folder) {
  Authorities made;
  auto signer = load_signer(folder);
  if (!signer) return std::move(signer).error();
  const auto text = read_file(folder / "ca.pem", trust::kPemBytesMax);
  if (!text) return text.error();
  const auto bundle = trust::Certificate::all_from_pem(*text);
  if (!bundle) return within((folder / "ca.pem").string(), bundle.error());
  for (const auto& one : *bundle) made.bundle_pem_ += one.pem();
  made.all_.push_back(*std::move(signer));
  std::error_code failed;
  if (bundle->size() < 2 || !fs::exists(folder / "ca.old.pem", failed)) return made;
  auto old = trust::Authority::load(folder / "ca.old.pem", folder / "ca.old.key");
  if (!old) return std::move(old).error();
  const auto fingerprint = old->certificate().fingerprint();
  const bool trusted = std::any_of(bundle->begin() + 1, bundle->end(), [&](const auto& one) {
    return one.fingerprint() == fingerprint;
  });
  if (trusted) made.all_.push_back(*std::move(old));
  return made;
}

}  // namespace lapwing::hub
