// SPDX-License-Identifier: Apache-2.0
/// Owners of OpenSSL objects; users of shared/trust need no OpenSSL header.
#pragma once

#include <cstddef>
#include <memory>

struct evp_pkey_st;
struct x509_st;

namespace lapwing::trust {

struct FreeKey {
  void operator()(evp_pkey_st* key) const noexcept;
};
struct FreeCertificate {
  void operator()(x509_st* certificate) const noexcept;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeKey>;
using CertificateHandle = std::unique_ptr<x509_st, FreeCertificate>;

/// Longest PEM text that is parsed; longer is refused with Errc::limit before OpenSSL sees it.
inline constexpr std::size_t kPemBytesMax = 64 * 1024;

}  // namespace lapwing::trust
