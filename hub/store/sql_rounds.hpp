// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/rounds.hpp"
#include "hub/store/sql_access.hpp"

namespace lapwing::hub {

class SqlRounds final : public Rounds {
 public:
  explicit SqlRounds(SqlAccess& access) : access_(access) {}

  Result<RoundRow> add(const RoundRow& row, std::span<const std::string> devices) override;
  Result<RoundRow> get(std::string_view tenant, std::uint64_t id) override;
  Result<Page<RoundRow>> list(std::string_view tenant, const PageRequest& page) override;
  Result<Page<RoundMember>> members(std::string_view tenant, std::uint64_t id,
                                    const PageRequest& page) override;
  Result<RoundRow> cancel(std::string_view tenant, std::uint64_t id, Time at) override;
  Result<bool> take(const DeviceKey& key, const RoundPart& part, Time at) override;
  Result<std::vector<std::pair<RoundRow, DeviceKey>>> to_ask(Time at, Micros again,
                                                             std::size_t limit) override;
  Result<void> mark_asked(std::uint64_t id, const DeviceKey& key, Time at) override;
  Result<std::vector<RoundRow>> due(Time at, std::size_t limit) override;
  Result<bool> begin_merge(std::uint64_t id, std::uint32_t pass, std::uint64_t job) override;
  Result<std::vector<RoundMember>> told(std::uint64_t id) override;
  Result<std::string> contribution(std::uint64_t id, const DeviceKey& key) override;
  Result<bool> step(const RoundStep& step) override;

 private:
  SqlAccess& access_;
};

}  // namespace lapwing::hub
