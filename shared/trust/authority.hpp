// SPDX-License-Identifier: Apache-2.0
/// A small certificate authority: signs the servers' certificates and those of devices.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/certificate.hpp"
#include "shared/trust/key.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::trust {

/// X.509's own bound on a common name; so `<tenant>/<device>` must fit in it.
inline constexpr std::size_t kCommonNameMax = 64;
/// Certificates begin this much in the past, so that a clock a little behind accepts them.
inline constexpr Micros kClockTolerance = std::chrono::minutes(5);

/// A PEM certificate signing request for `key`. The common name is a wish only; the authority
/// decides. Errors: bad_input (name empty or longer than kCommonNameMax), corrupt.
Result<std::string> make_csr(const PrivateKey& key, std::string_view common_name);

/// The common name a request asks for, after its own signature was checked (the sender holds the
/// key). Errors: bad_input (unreadable, a bad signature, a key that is not EC P-256), limit.
Result<std::string> read_csr(std::string_view csr_pem);

/// How long, from when. Times are passed in; certificates start kClockTolerance before `now`.
struct Validity {
  Time now{};
  Micros lifetime{};
};

/// Signs certificates. Threads: a shared one is safe. Cost: about a millisecond each.
/// Errors: bad_input (a name that cannot be in a certificate, a bad CSR), corrupt (OpenSSL failed).
class Authority {
 public:
  /// A new self-signed root with its own EC P-256 key.
  static Result<Authority> create(std::string_view common_name, Validity validity);
  /// Errors: not_found, denied, bad_input (not an authority, or the key is another's).
  static Result<Authority> load(const std::filesystem::path& certificate_file,
                                const std::filesystem::path& key_file);

  /// A TLS server's certificate for these DNS names and IP addresses (at least one).
  Result<Certificate> issue_server(const PrivateKey& key, const std::vector<std::string>& names,
                                   Validity validity) const;
  /// A TLS client's certificate for a key that we hold.
  Result<Certificate> issue_client(const PrivateKey& key, std::string_view common_name,
                                   Validity validity) const;
  /// A TLS client's certificate for the key in `csr_pem`. Nothing but the key is taken from the
  /// request: name, uses and lifetime are the authority's.
  Result<Certificate> issue_device(std::string_view csr_pem, std::string_view common_name,
                                   Validity validity) const;

  [[nodiscard]] const Certificate& certificate() const noexcept { return certificate_; }
  [[nodiscard]] const PrivateKey& key() const noexcept { return key_; }

 private:
  Authority(Certificate certificate, PrivateKey key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  Certificate certificate_;
  PrivateKey key_;
};

}  // namespace lapwing::trust
