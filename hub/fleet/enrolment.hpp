// SPDX-License-Identifier: Apache-2.0
/// How a device gets its identity: a one-time token, a certificate request, a certificate.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/authority.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace lapwing::hub {

struct EnrolmentOptions {
  Micros certificate_lifetime = std::chrono::hours(24 * 365);
  std::string bundle_pem = {};  ///< what devices are to trust; empty: the authority alone
  Micros token_lifetime_max = std::chrono::hours(24 * 30);  ///< longer is refused
};

struct NewEnrolment {
  EnrolmentRow row;
  Secret<std::string> token;  ///< the only copy; the store has its hash
};

struct Enrolled {
  DeviceKey key;
  std::string certificate_pem;
  std::string authority_pem;
  Time certificate_expires{};
  std::string key_list;  ///< the newest, signed: who may release models; empty: there is none
};

/// Issues device certificates against one-time tokens. Name and tenant come from the token, never
/// from the request: of a CSR only its key is used.
///
/// Threads: a shared one is safe. Cost: a millisecond of signing and two store transactions.
class Enrolment {
 public:
  /// Borrows the store, which must outlive it.
  Enrolment(Store& store, trust::Authority authority, EnrolmentOptions options = {})
      : store_(store), authority_(std::move(authority)), options_(options) {}

  /// A token that lets one device in, once. A device that exists may be enrolled again (a new key);
  /// its records go on. `actor` as in AuditRow.
  /// Errors: bad_input (names, lifetime; tenant and device together exceed a certificate's common
  /// name), and the store's.
  Result<NewEnrolment> permit(const DeviceKey& key, Micros lifetime, std::string_view actor,
                              Time at);

  /// Consumes the token, issues the certificate, registers the device. A request that cannot be
  /// read does not use up the token; of any number of callers with one token, one succeeds.
  /// Errors: denied (token unknown, used, expired), bad_input (the request), and the store's.
  Result<Enrolled> enrol(std::string_view token, std::string_view csr_pem, Time at);

 private:
  Result<std::string> newest_keys();

  Store& store_;
  trust::Authority authority_;
  EnrolmentOptions options_;
};

}  // namespace lapwing::hub
