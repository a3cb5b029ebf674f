// SPDX-License-Identifier: Apache-2.0
/// Lists of revoked certificates: signed by an authority, read by brokers.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/authority.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::trust {

/// Longest text that read_crls parses: some 100,000 entries.
inline constexpr std::size_t kCrlBytesMax = std::size_t{16} << 20;

struct RevokedSerial {
  std::string serial;  ///< hex, as CertificateInfo has it
  Time at{};
};

struct CrlContents {
  std::span<const RevokedSerial> revoked;
  std::uint64_t number = 0;  ///< grows with every list of an authority
  /// Verifiers keep, of two lists of one authority, the one that was issued later, by whole
  /// seconds: a list of the same second as the one before it may go unnoticed.
  Time issued{};
  Time lapses{};  ///< afterwards verifiers refuse every certificate of the authority
};

/// The list, signed, as PEM. Errors: bad_input (a serial that is not hex), corrupt (OpenSSL).
/// Cost: about a millisecond, and two microseconds an entry.
Result<std::string> issue_crl(const Authority& authority, const CrlContents& contents);

struct CrlInfo {
  std::string issuer_common_name;
  std::uint64_t number = 0;
  Time issued{};
  Time lapses{};
  std::vector<std::string> serials;  ///< hex, sorted
};
/// Every list of the text. Signatures are not checked. Errors: bad_input (none inside), limit.
Result<std::vector<CrlInfo>> read_crls(std::string_view pem);

}  // namespace lapwing::trust
