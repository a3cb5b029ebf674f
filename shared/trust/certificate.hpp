// SPDX-License-Identifier: Apache-2.0
/// Reading and checking X.509 certificates.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/key.hpp"
#include "shared/trust/openssl_fwd.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::trust {

/// What people and checks want to know of a certificate.
struct CertificateInfo {
  std::string common_name;
  std::string issuer_common_name;
  std::string serial;              ///< hex, lower case
  std::vector<std::string> names;  ///< DNS names and IP addresses it is valid for
  Time not_before{};
  Time not_after{};
  bool authority = false;  ///< may sign certificates
  bool server = false;     ///< may be used as a TLS server
  bool client = false;     ///< may be used as a TLS client
};

/// An X.509 certificate. Ownership: movable, not copyable. Threads: a shared one is safe to read.
/// Errors: bad_input (no certificate inside), limit (PEM too long), not_found, denied.
class Certificate {
 public:
  /// The first certificate of the text.
  static Result<Certificate> from_pem(std::string_view pem);
  /// Every certificate of the text, in order: one at least, kBundleMax at most (more: limit).
  static Result<std::vector<Certificate>> all_from_pem(std::string_view pem);
  static Result<Certificate> load(const std::filesystem::path& file);
  explicit Certificate(CertificateHandle handle) : handle_(std::move(handle)) {}

  [[nodiscard]] CertificateInfo info() const;
  [[nodiscard]] std::string pem() const;
  /// SHA-256 of the certificate, 64 hex digits: tells one authority from another of its name.
  [[nodiscard]] std::string fingerprint() const;
  /// Whether `key` is the private key of this certificate.
  [[nodiscard]] bool matches(const PrivateKey& key) const;

  [[nodiscard]] x509_st* handle() const noexcept { return handle_.get(); }

 private:
  CertificateHandle handle_;
};

/// Authorities in one file; during a rotation there are two.
inline constexpr std::size_t kBundleMax = 16;

enum class Purpose { any, server, client };

/// Whether `authority` signed `certificate` and it is valid at `at` for this use.
/// Errors: denied, with the reason (expired, not yet valid, another authority, not for this use).
Result<void> verify(const Certificate& certificate, const Certificate& authority, Time at,
                    Purpose purpose);
/// Likewise, by any one of these authorities.
Result<void> verify(const Certificate& certificate, std::span<const Certificate> authorities,
                    Time at, Purpose purpose);

}  // namespace lapwing::trust
