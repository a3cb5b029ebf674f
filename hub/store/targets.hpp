// SPDX-License-Identifier: Apache-2.0
/// What each device is to run of each model, and what it last said it does.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"
#include "shared/wire/models.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// What is wanted. Plain data.
struct Target {
  DeviceKey key;
  std::string model;
  std::uint64_t number = 0;  ///< version; 0: none any more
  wire::ModelStage stage = wire::ModelStage::shadow;
  std::uint64_t rollout = 0;  ///< that wants it; 0: an operator
};

/// A target with what came of it.
struct TargetRow {
  Target target;
  std::uint64_t offer = 0;    ///< of the newest change; 0: nothing was ever wanted
  std::string assignment;     ///< signed; empty: not signed yet
  std::optional<Time> until;  ///< the assignment's end
  Time changed_at{};
  wire::ModelReport report;         ///< the newest; its `state` is empty before the first
  std::optional<Time> reported_at;  ///< when the hub took it
  /// The newest report that has them; of `report.version`.
  std::optional<wire::ModelStatistics> statistics;
};

/// A target that its device has not reported on.
struct DueTarget {
  TargetRow row;
  std::string connection_id;  ///< of the device, now
};

/// Reports come with the records of an ingest transaction: the newest by (epoch, seq) stands,
/// whichever way it came; also of models that nobody wanted (kReportedMax of a device). One of an
/// offer that is not known here (another region's, or this hub was restored) has the target offered
/// again, above it.
/// Errors: not_found (no such device), io, corrupt. Threads: as Store.
class Targets {
 public:
  static constexpr std::size_t kReportedMax = 64;
  /// An offer is sent again when it was sent so long ago.
  static constexpr Micros kResendAfter = std::chrono::seconds(30);

  virtual ~Targets() = default;
  Targets(const Targets&) = delete;
  Targets& operator=(const Targets&) = delete;

  /// All or none. Each that differs from what was wanted gets the next offer (above what the device
  /// reported, too), loses its assignment and is due; wakes watchers of Commands on every replica.
  virtual Result<void> want(std::span<const Target> targets, Time at) = 0;
  /// not_found too: nothing is known of that model there.
  virtual Result<TargetRow> get(const DeviceKey& key, std::string_view model) = 0;
  /// What is not empty or 0 restricts. By device, then model.
  struct Filter {
    std::string device;
    std::string model;
    std::uint64_t rollout = 0;
  };
  virtual Result<Page<TargetRow>> list(std::string_view tenant, const Filter& filter,
                                       const PageRequest& page) = 0;

  /// Those whose report is behind their offer, of devices that are online through this replica's
  /// broker, and whose offer was not sent on the present connection, or more than kResendAfter
  /// before `at`.
  virtual Result<std::vector<DueTarget>> due(std::string_view replica, Time at,
                                             std::size_t limit) = 0;
  /// Their offers were handed to the broker.
  virtual Result<void> mark_sent(std::span<const DueTarget> sent, Time at) = 0;
  /// Whose assignment ends before `renew_before`, connected or not: to be signed anew.
  virtual Result<std::vector<TargetRow>> ending(Time renew_before, std::size_t limit) = 0;
  /// Of no effect when `offer` is not the newest any more.
  virtual Result<void> assign(const DeviceKey& key, std::string_view model, std::uint64_t offer,
                              std::string_view assignment, Time until) = 0;
  /// The same target with a new offer, so that its new assignment is sent.
  virtual Result<void> offer_again(const DeviceKey& key, std::string_view model,
                                   std::uint64_t offer, Time at) = 0;

 protected:
  Targets() = default;
};

}  // namespace lapwing::hub
