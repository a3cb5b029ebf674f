// SPDX-License-Identifier: Apache-2.0
/// `crl.pem`, the list of revoked certificates that a replica's broker reads.
#pragma once

#include "hub/fleet/authorities.hpp"
#include "hub/fleet/config.hpp"
#include "hub/store/certificates.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// A certificate that is good but for being in the newest list: whoever takes it has not read the
/// list. No device has its name, and it is worth nothing where it is accepted.
struct Canary {
  std::string certificate_pem;
  Secret<std::string> key_pem;
};
/// Its name; without a slash, so that the access list gives it no topic of a device.
inline constexpr std::string_view kCanaryName = "lapwing-revoked-check";

/// Writes the list when it is due: when something was revoked (within a second), every `crl_every`,
/// and when the object is new (it does not have the earlier list's canary). One list an authority,
/// in one file, replaced atomically. Takes the time as an argument.
///
/// Threads: one object is used from one thread at a time.
class CrlFile {
 public:
  CrlFile(std::filesystem::path file, const CertificatesConfig& config)
      : file_(std::move(file)), config_(config) {}

  /// True: a new list was written. Errors: the store's, and the file's; what was there stays.
  Result<bool> keep(Certificates& certificates, const Authorities& authorities, Time at);

  /// When the list that is on the disk lapses; nullopt: there is none that we know.
  [[nodiscard]] std::optional<Time> lapses() const noexcept { return lapses_; }
  /// Certificates in the newest list, the canary not counted.
  [[nodiscard]] std::size_t entries() const noexcept { return known_.size(); }
  [[nodiscard]] const Canary& canary() const noexcept { return canary_; }
  /// What came with the lists since the last call; of this object's first list only what was
  /// revoked within the last hour. Their sessions are to be ended.
  [[nodiscard]] std::vector<Revocation> take_new() { return std::exchange(new_, {}); }

 private:
  void look_at_file();
  Result<void> issue(const RevokedCertificates& revoked, Certificates& certificates,
                     const Authorities& authorities, Time at);

  std::filesystem::path file_;
  CertificatesConfig config_;
  std::optional<std::uint64_t> changes_;  ///< of the list that was written; nullopt: none was
  Time written_{};
  Time next_{};
  Time issued_{};  ///< what the list says of it

  std::optional<Time> lapses_;
  bool looked_ = false;
  std::set<std::string> known_;
  std::vector<Revocation> new_;
  Canary canary_;
};

/// An empty list, for a new hub. Errors: as issue_crl.
Result<std::string> first_crl(const trust::Authority& authority, Time at);

}  // namespace lapwing::hub
