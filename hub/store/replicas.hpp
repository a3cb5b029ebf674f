// SPDX-License-Identifier: Apache-2.0
/// Which processes serve one store, and which of them does what only one may do at a time.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// A process that hears devices, through its own broker.
struct ReplicaRow {
  std::string replica;
  /// Since when it has been hearing its devices without a break: connected to its broker, with a
  /// store that took what came.
  Time hearing_since{};
  Time heard_at{};  ///< when it said so last
};

/// Times are the callers' wall clocks, which must agree as far as leases and silence are told
/// apart: within seconds.
/// Errors: io, corrupt, as of every function of Store. Threads: as Store.
class Replicas {
 public:
  virtual ~Replicas() = default;
  Replicas(const Replicas&) = delete;
  Replicas& operator=(const Replicas&) = delete;

  /// Replaces what the replica said before. Rows not renewed for a week go.
  virtual Result<void> beat(const ReplicaRow& row) = 0;
  virtual Result<std::vector<ReplicaRow>> list() = 0;  ///< by name
  /// The devices that are online through this replica's broker, of all tenants, at most `limit`.
  virtual Result<std::vector<DeviceKey>> devices_of(std::string_view replica,
                                                    std::size_t limit) = 0;

  /// Takes or renews the lease until `at` + `length`. False: another holds it.
  virtual Result<bool> take_lease(std::string_view name, std::string_view holder, Time at,
                                  Micros length) = 0;
  /// So that another may take it at once. Of no effect when `holder` has it not.
  virtual Result<void> release_lease(std::string_view name, std::string_view holder) = 0;

 protected:
  Replicas() = default;
};

}  // namespace lapwing::hub
