// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/replicas.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlReplicas final : public Replicas {
 public:
  explicit SqlReplicas(SqlAccess& access) : access_(access) {}

  Result<void> beat(const ReplicaRow& row) override;
  Result<std::vector<ReplicaRow>> list() override;
  Result<std::vector<DeviceKey>> devices_of(std::string_view replica, std::size_t limit) override;
  Result<bool> take_lease(std::string_view name, std::string_view holder, Time at,
                          Micros length) override;
  Result<void> release_lease(std::string_view name, std::string_view holder) override;

 private:
  SqlAccess& access_;
};

}  // namespace lapwing::hub
