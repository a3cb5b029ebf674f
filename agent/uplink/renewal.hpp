// SPDX-License-Identifier: Apache-2.0
/// When a device asks for its next certificate, and whether it takes what it gets. Without sockets,
/// clocks and files.
#pragma once

#include "agent/uplink/identity_files.hpp"
#include "shared/base/backoff.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/key.hpp"
#include "shared/wire/certificates.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// From when to when a certificate holds, by the wall clock.
struct CertificateLife {
  Time begin{};  ///< when it was issued, near enough
  Time end{};
};

/// Asks at two thirds of the certificate's life, and up to a twentieth of it later, so that devices
/// enrolled together do not come together; when the hub wants it, within the time it gives. An
/// answer that does not come is asked for again with the same request, after a twentieth of the
/// life at most (an hour at most, with jitter), which the hub recognises.
/// Threads: one object is used from one thread at a time.
class Renewal {
 public:
  Renewal(CertificateLife life, std::string name, std::uint64_t seed);

  /// A signing request (PEM) to send now, if any. `ready`: the hub takes messages.
  Result<std::optional<std::string>> due(Time wall, Ticks at, bool ready);
  /// When due() is to be asked again at the latest.
  [[nodiscard]] Ticks next(Time wall, Ticks at) const;

  /// A new certificate within this time, whatever the life of the one there is.
  void want(Micros within, Ticks at);
  /// nullopt: nothing to be kept (it was refused, or wanted). Errors: denied, corrupt (not for our
  /// key, not our name, of an authority it does not come with, or of none that we know).
  Result<std::optional<NewIdentity>> answered(const wire::CertificateAnswer& answer,
                                              std::string_view trusted_pem, Time wall, Ticks at);
  /// What answered() gave is kept: a new life begins.
  void renewed(CertificateLife life);

  /// When it will be asked for, by the wall clock.
  [[nodiscard]] Time due_at() const noexcept { return due_; }

 private:
  void plan(CertificateLife life);
  Result<NewIdentity> check(const wire::CertificateAnswer& answer, std::string_view trusted_pem,
                            Time wall) const;

  struct Pending {
    trust::PrivateKey key;
    std::string csr;
  };

  std::string name_;
  std::uint64_t seed_;
  Time due_{};
  std::optional<Ticks> wanted_;
  std::optional<Pending> pending_;
  std::optional<Backoff> backoff_;
  Ticks not_before_{};
};

}  // namespace lapwing::agent
