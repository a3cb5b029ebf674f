// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/rollouts.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlCommands;

class SqlRollouts final : public Rollouts {
 public:
  /// Borrows both, which must outlive it. `commands`: whose watchers hear of new targets.
  SqlRollouts(SqlAccess& access, SqlCommands& commands) : access_(access), commands_(commands) {}

  Result<RolloutRow> add(const RolloutRow& row, const Order& order) override;
  Result<RolloutRow> get(std::string_view tenant, std::uint64_t id) override;
  Result<Page<RolloutRow>> list(std::string_view tenant, const PageRequest& page) override;
  Result<std::vector<RolloutRow>> open(std::size_t limit) override;
  Result<Page<RolloutMember>> members(std::string_view tenant, std::uint64_t id,
                                      const PageRequest& page) override;
  Result<Page<RolloutDecision>> decisions(std::string_view tenant, std::uint64_t id,
                                          const PageRequest& page) override;
  Result<bool> step(const RolloutStep& step) override;

 private:
  SqlAccess& access_;
  SqlCommands& commands_;
};

}  // namespace lapwing::hub
