// SPDX-License-Identifier: Apache-2.0
/// A new certificate authority beside the old one, and the end of the old one; the hub's own
/// certificates.
///
/// The order, each step for all replicas before the next: rotate (brokers trust both, the new one
/// signs); devices renew, and learn to trust both with it; retire (servers show certificates of the
/// new one, the old one is trusted no more). Every step may be broken off and done again.
#pragma once

#include "hub/fleet/authorities.hpp"
#include "hub/store/certificates.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lapwing::hub {

/// Makes a new authority in a hub's folder: `ca.pem` holds the new and the old one, `ca.key` is the
/// new one's, `ca.old.pem` and `ca.old.key` are the old one's. Errors: exists (a rotation is under
/// way), and those of the files.
Result<void> rotate_authority(const std::filesystem::path& folder, Time at);

struct AuthorityStatus {
  std::string name;
  std::string fingerprint;
  Time expires{};
  bool signs = false;
  std::uint64_t devices = 0;  ///< whose newest certificate is of it
};
/// The one that signs first. A device of an unknown authority counts for the last.
Result<std::vector<AuthorityStatus>> authority_status(const Authorities& authorities,
                                                      Certificates& certificates);

/// Reissues the hub's own certificates by the new authority and drops the old one. Errors:
/// not_found (there is one only), denied (devices are left, and `force` is not set).
Result<void> retire_authority(const std::filesystem::path& folder, Certificates& certificates,
                              bool force, Time at);

/// `server.pem` and `hub.pem`, where one of our authorities signed them and two thirds of their
/// life are over (or `all`): the same names and keys, for five more years, by an authority that
/// every device trusts. The files written. Errors: those of the files.
Result<std::vector<std::filesystem::path>> renew_own_certificates(
    const std::filesystem::path& folder, const Authorities& authorities, bool all, Time at);

}  // namespace lapwing::hub
