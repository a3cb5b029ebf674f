// SPDX-License-Identifier: Apache-2.0
/// Tells devices which models they are to run, and signs that they may.
#pragma once

#include "hub/store/store.hpp"
#include "hub/store/targets.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/trust/key.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/models.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Of several replicas each sends only to its own devices (Targets::due). An offer goes after each
/// hello, when it changes, and again after Targets::kResendAfter, until the device reports it.
///
/// An assignment holds kHolds. When less than kRenewBefore of one is left, its target is offered
/// again, with a new one: any replica does that, also of devices that are away. Without a key only
/// offers to run nothing go out; the others wait and are counted.
///
/// A device is told the key lists above the one it reported, kOfferKeysMax at most; one that never
/// reported, the newest. Of the chain kKeysMax lists are kept in memory.
/// Bound: a round sends kRoundMax offers; the rest goes with the next.
/// Threads: one at a time.
class OfferDesk {
 public:
  using Send = std::function<bool(const std::string& topic, const std::string& frame)>;
  static constexpr std::size_t kRoundMax = 200;
  static constexpr std::size_t kKeysMax = 64;
  static constexpr Micros kHolds = std::chrono::hours(24 * 7);
  static constexpr Micros kRenewBefore = std::chrono::hours(24 * 3);
  static constexpr Micros kLookForEnding = std::chrono::minutes(1);

  /// Borrows store and metrics, which must outlive it. `key`: of Ed25519; absent: nothing can be
  /// signed.
  OfferDesk(std::string replica, std::optional<trust::PrivateKey> key, Store& store, Send send,
            Metrics& metrics);

  /// One look: renews what ends, sends what is due. Whether there is more to do at once.
  bool round(Time at);

 private:
  void renew(Time at);
  Result<wire::Offer> offer_of(const TargetRow& row, Time at);
  Result<std::string> manifest_of(const Target& target);
  Result<std::string> assign(const TargetRow& row, const std::string& manifest, Time at);
  Result<void> read_keys();
  [[nodiscard]] std::vector<std::string> keys_above(const TargetRow& row,
                                                    std::size_t bytes_max) const;
  void failed(const char* what, const Error& error);

  const std::string replica_;
  const std::optional<trust::PrivateKey> key_;
  Store& store_;
  const Send send_;
  wire::FrameWriter writer_;
  Counter& sent_;
  Counter& signed_;
  Counter& renewed_;
  Counter& unsent_;
  Counter& errors_;
  std::vector<std::pair<std::uint64_t, std::string>> keys_;  ///< by number
  std::map<std::pair<std::string, std::pair<std::string, std::uint64_t>>, std::string>
      manifests_;  ///< by tenant, model, number; bounded
  Time next_renewal_{};
};

/// The hub's key for assignments; absent: there is no such file. Errors: bad_config.
Result<std::optional<trust::PrivateKey>> load_signing_key(const std::string& file, bool required);

}  // namespace lapwing::hub
