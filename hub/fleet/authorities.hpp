// SPDX-License-Identifier: Apache-2.0
/// The hub's certificate authority, and during a rotation the one before it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/trust/authority.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::hub {

/// The one that signs, by itself; as Authorities::load.
Result<trust::Authority> load_signer(const std::filesystem::path& folder);

/// Threads: a shared one is safe to read.
class Authorities {
 public:
  /// From a hub's folder: `ca.pem` is what brokers and devices trust, the one that signs first;
  /// `ca.key` is that one's key; `ca.old.pem` and `ca.old.key`, where they are and `ca.pem` has it
  /// too, the one before (see rotation.hpp). Errors: as Authority::load.
  static Result<Authorities> load(const std::filesystem::path& folder);

  /// One that was just made.
  static Authorities of(trust::Authority authority);

  /// Signs what is issued now.
  [[nodiscard]] const trust::Authority& signer() const noexcept { return all_.front(); }
  /// Those whose key is here, the signer first: each has a list of revoked certificates.
  [[nodiscard]] const std::vector<trust::Authority>& all() const noexcept { return all_; }
  /// What devices are to trust, as PEM.
  [[nodiscard]] const std::string& bundle_pem() const noexcept { return bundle_pem_; }

 private:
  std::vector<trust::Authority> all_;
  std::string bundle_pem_;
};

}  // namespace lapwing::hub
