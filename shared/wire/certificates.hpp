// SPDX-License-Identifier: Apache-2.0
/// How a device gets its next certificate: `up/certificate` and `down/certificate`. Errors and
/// threads as in codec.hpp.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::wire {

inline constexpr std::size_t kCsrBytesMax = 8 * 1024;
inline constexpr std::size_t kCertificateBytesMax = 16 * 1024;
inline constexpr std::size_t kAuthoritiesBytesMax = 32 * 1024;

/// Who asks is the topic's device; of the request only the key counts.
struct CertificateRequest {
  std::string csr;  ///< PEM
};

enum class CertificateOutcome : std::uint8_t {
  issued = 1,   ///< `certificate` and `authorities` are set
  refused = 2,  ///< see `reason`; not to be asked again before `wait` is over
  wanted = 3,   ///< unasked for: ask within `wait`, though your certificate holds longer
};

struct CertificateAnswer {
  CertificateOutcome outcome = CertificateOutcome::refused;
  std::string certificate;  ///< PEM, for the request's key
  std::string authorities;  ///< PEM; all that the device is to trust from now on
  std::string reason;       ///< for people
  Micros wait{};
};

[[nodiscard]] std::string encode(const CertificateRequest& request);
[[nodiscard]] std::string encode(const CertificateAnswer& answer);
Result<CertificateRequest> decode_certificate_request(std::string_view bytes);
Result<CertificateAnswer> decode_certificate_answer(std::string_view bytes);

}  // namespace lapwing::wire
