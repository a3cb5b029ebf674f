// SPDX-License-Identifier: Apache-2.0
/// Certificates in SQL that every engine understands.
#pragma once

#include "hub/store/certificates.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlCertificates final : public Certificates {
 public:
  /// Borrows `access`, which must outlive it.
  explicit SqlCertificates(SqlAccess& access) : access_(access) {}

  Result<void> add(const CertificateRow& certificate) override;
  Result<std::optional<CertificateRow>> answer_to(const DeviceKey& key, std::string_view key_hash,
                                                  Time at) override;
  Result<std::uint64_t> changes() override;
  Result<RevokedCertificates> revoked(Time at) override;
  Result<std::uint64_t> next_crl_number() override;
  Result<std::vector<AuthorityUse>> authorities() override;
  Result<std::vector<DeviceKey>> online_with_another(std::string_view authority,
                                                     const DeviceKey& after,
                                                     std::size_t limit) override;
  Result<std::uint64_t> forget(Time expired) override;

 private:
  SqlAccess& access_;
};

// --- inside a change that is under way
// -------------------------------------------------------------

/// One more that holds, unless it is known.
void keep_certificate(sql::Connection& db, std::int64_t tenant_no, const CertificateRow& row);
/// A device was enrolled: this is its certificate, and those before it hold no more.
void replace_certificates(sql::Connection& db, std::int64_t tenant_no,
                          const DeviceRegistration& registration);
/// None of the device's certificates holds any more.
void revoke_certificates(sql::Connection& db, std::int64_t tenant_no, std::string_view device,
                         Time at, std::string_view reason);

}  // namespace lapwing::hub
