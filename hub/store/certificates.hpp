// SPDX-License-Identifier: Apache-2.0
/// The certificates that the hub's authority gave to devices, and which of them hold no more.
///
/// Shared by all replicas: each issues its own list of revoked certificates from here. Errors,
/// threads, times: as Store.
#pragma once

#include "hub/store/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// Unexpired, unrevoked certificates that one device may have; a renewal beyond it is refused.
inline constexpr std::uint64_t kCertificatesMax = 16;

/// One certificate of one device.
struct CertificateRow {
  DeviceKey key;
  std::string serial;     ///< hex
  std::string authority;  ///< its fingerprint; empty: the first one, by an older version
  std::string key_hash;   ///< SHA-256 of the request it answers; empty: an enrolment
  std::string pem;        ///< empty: an enrolment
  Time issued_at{};
  Time expires_at{};
};

/// A certificate that must not be accepted though it has not expired.
struct Revocation {
  DeviceKey key;
  std::string serial;
  std::string authority;
  Time at{};
  std::string reason;  ///< `revoked`, or `superseded` by a later enrolment
};

struct RevokedCertificates {
  std::uint64_t changes = 0;  ///< as changes() was when this was read
  std::vector<Revocation> entries;
};

/// How many devices hold, as their newest certificate, one of this authority.
struct AuthorityUse {
  std::string authority;
  std::uint64_t devices = 0;
};

class Certificates {
 public:
  virtual ~Certificates() = default;
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  /// A renewal: one more for a registered device; its row shows it from now on. Earlier ones stay
  /// good until they expire. Errors: not_found, denied (the device is revoked), limit
  /// (kCertificatesMax).
  virtual Result<void> add(const CertificateRow& certificate) = 0;
  /// What was answered to the same request before, if it still holds at `at`.
  virtual Result<std::optional<CertificateRow>> answer_to(const DeviceKey& key,
                                                          std::string_view key_hash, Time at) = 0;

  /// Grows with each change of what is revoked. Cheap: ask often.
  virtual Result<std::uint64_t> changes() = 0;
  /// Revoked and not expired at `at`, by serial.
  virtual Result<RevokedCertificates> revoked(Time at) = 0;
  /// A number for the next list of revoked certificates; no two replicas get the same.
  virtual Result<std::uint64_t> next_crl_number() = 0;

  /// By authority; devices that are revoked, or have no certificate of this hub, do not count.
  virtual Result<std::vector<AuthorityUse>> authorities() = 0;
  /// Online devices whose newest certificate is of another authority, by name; at most `limit`,
  /// after `after`.
  virtual Result<std::vector<DeviceKey>> online_with_another(std::string_view authority,
                                                             const DeviceKey& after,
                                                             std::size_t limit) = 0;
  /// Rows of certificates that expired before `expired` go, at most 1,000 at once; how many.
  virtual Result<std::uint64_t> forget(Time expired) = 0;

 protected:
  Certificates() = default;
};

}  // namespace lapwing::hub
