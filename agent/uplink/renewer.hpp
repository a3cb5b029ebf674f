// SPDX-License-Identifier: Apache-2.0
/// The device's certificate while the agent runs: asks for the next one, keeps it, tells of it.
#pragma once

#include "agent/uplink/identity_files.hpp"
#include "agent/uplink/renewal.hpp"
#include "shared/base/mutex.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/certificates.hpp"
#include "shared/wire/topics.hpp"

#include <optional>
#include <string>

namespace lapwing {
class Counter;
class Gauge;
class Metrics;
}  // namespace lapwing

namespace lapwing::agent {

struct CertificateFigures {
  std::optional<Time> expires;
  std::optional<Time> renewal_due;
  std::string problem;  ///< why it could not be renewed; empty: nothing is wrong
};

/// Threads: figures from any; the rest from the uplink's.
class Renewer {
 public:
  /// Borrows metrics. The certificate was read before, so that its life is known.
  Renewer(IdentityFiles files, const wire::Identity& who, Metrics& metrics);

  /// A message for `up/certificate` that is due, if any.
  std::optional<std::string> due(bool ready);
  [[nodiscard]] Ticks next() const;
  /// True: there is a new certificate; a new connection uses it. `ca_file`: what says which
  /// authorities the hub that answers may have; it is replaced by what the answer says.
  bool answered(const wire::CertificateAnswer& answer, const std::filesystem::path& ca_file);
  /// Asks for a new one within this time.
  void want(Micros within) { renewal_.want(within, ticks_now()); }

  [[nodiscard]] CertificateFigures figures() const;

 private:
  bool keep(const NewIdentity& identity);
  void failed(const Error& why);
  void show();

  IdentityFiles files_;
  Renewal renewal_;
  Gauge& expires_seconds_;
  Counter& renewed_;
  Counter& failed_;
  mutable Mutex mutex_;
  CertificateFigures figures_ LAPWING_GUARDED_BY(mutex_);
};

}  // namespace lapwing::agent
