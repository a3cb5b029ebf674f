// SPDX-License-Identifier: Apache-2.0
/// Who asks, and whether they may.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/mutex.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/http/message.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>

namespace lapwing::hub {

/// Counts failed credentials by address, so that guessing costs the guesser time.
/// Bound: kAddressesMax addresses; beyond it the one that failed longest ago is forgotten.
/// Threads: distinct objects are safe; a shared one is not.
class FailureLimiter {
 public:
  static constexpr std::size_t kAddressesMax = 4'096;
  static constexpr Micros kWindow = std::chrono::minutes(1);

  explicit FailureLimiter(std::uint32_t failures_max) : failures_max_(failures_max) {}

  [[nodiscard]] bool blocked(std::string_view address, Ticks at) const;
  void failed(std::string_view address, Ticks at);

 private:
  struct Failures {
    Ticks since{};  ///< the window's begin
    std::uint32_t count = 0;
  };
  std::uint32_t failures_max_;
  std::map<std::string, Failures, std::less<>> addresses_;
};

/// Finds the token behind a request. A token that worked before is let in even when its address is
/// blocked, so that one broken script does not lock out everyone behind the same proxy.
/// Threads: a shared one is safe.
class Authenticator {
 public:
  Authenticator(Store& store, std::uint32_t failures_max) : store_(store), limiter_(failures_max) {}

  /// The token, or the response that refuses: 401, 403 (not this scope), 429, 503.
  std::variant<TokenRow, http::Response> admit(const http::Request& request,
                                               std::string_view scope);
  /// For credentials that are not bearer tokens (enrolment): 429 when the address is blocked.
  [[nodiscard]] bool blocked(const http::Request& request);
  void failed(const http::Request& request);

 private:
  static constexpr std::size_t kKnownMax = 1'024;

  Store& store_;
  Mutex mutex_;
  FailureLimiter limiter_ LAPWING_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> known_ LAPWING_GUARDED_BY(mutex_);  ///< hashes that worked
};

/// The response to a blocked address.
[[nodiscard]] http::Response too_many_failures(std::string_view instance);

}  // namespace lapwing::hub
