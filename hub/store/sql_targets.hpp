// SPDX-License-Identifier: Apache-2.0
/// Targets in SQL that every engine understands.
#pragma once

#include "hub/store/sql_access.hpp"
#include "hub/store/targets.hpp"

#include <cstdint>

namespace lapwing::hub {

class SqlCommands;

/// What a device said of a model, as a record brought it.
struct ReportedModel {
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  Time received_at{};
  wire::ModelReport report;
};

/// Within a transaction that takes records in; posts. Of no effect where a newer one is known, or
/// the device has Targets::kReportedMax other models.
void keep_report(sql::Connection& db, const reads::DeviceNumbers& device,
                 const ReportedModel& reported);

/// Targets::want within a change that is under way; its caller announces it (SqlCommands::notify).
Result<void> want_targets(sql::Connection& db, std::span<const Target> targets, Time at);

class SqlTargets final : public Targets {
 public:
  /// Borrows both, which must outlive it.
  SqlTargets(SqlAccess& access, SqlCommands& commands) : access_(access), commands_(commands) {}

  Result<void> want(std::span<const Target> targets, Time at) override;
  Result<TargetRow> get(const DeviceKey& key, std::string_view model) override;
  Result<Page<TargetRow>> list(std::string_view tenant, const Filter& filter,
                               const PageRequest& page) override;
  Result<std::vector<DueTarget>> due(std::string_view replica, Time at, std::size_t limit) override;
  Result<void> mark_sent(std::span<const DueTarget> sent, Time at) override;
  Result<std::vector<TargetRow>> ending(Time renew_before, std::size_t limit) override;
  Result<void> assign(const DeviceKey& key, std::string_view model, std::uint64_t offer,
                      std::string_view assignment, Time until) override;
  Result<void> offer_again(const DeviceKey& key, std::string_view model, std::uint64_t offer,
                           Time at) override;

 private:
  SqlAccess& access_;
  SqlCommands& commands_;
};

}  // namespace lapwing::hub
