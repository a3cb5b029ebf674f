// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hub/store/commands.hpp"
#include "hub/store/sql_access.hpp"
#include "hub/store/wakes.hpp"

#include <functional>
#include <memory>
#include <string>

namespace lapwing::hub {

class SqlCommands final : public Commands {
 public:
  /// Where others write to the same store: listens for what they add.
  using Listen = std::function<Result<std::unique_ptr<CommandWatch>>(std::function<void()> wake)>;

  /// `notify`: a statement run with each change that others should hear of; empty: there are none.
  SqlCommands(SqlAccess& access, std::string notify, Listen listen)
      : access_(access), notify_(std::move(notify)), listen_(std::move(listen)) {}

  Result<CommandRow> add(const CommandRow& command) override;
  Result<Page<CommandRow>> list(const DeviceKey& key, const PageRequest& page) override;
  Result<CommandRow> get(const DeviceKey& key, std::uint64_t id) override;
  Result<std::vector<DueCommand>> due(std::string_view replica, Time at,
                                      std::size_t limit) override;
  Result<void> mark_sent(std::span<const DueCommand> sent, Time at) override;
  Result<bool> finish(const DeviceKey& key, std::uint64_t id, CommandStatus status,
                      std::string_view result, Time at) override;
  Result<std::uint64_t> expire(Time at) override;
  Result<DesiredRow> desire(const DeviceKey& key, std::string_view document,
                            std::optional<std::uint64_t> expected, std::string_view actor,
                            Time at) override;
  Result<DesiredRow> desired(const DeviceKey& key) override;
  Result<std::vector<std::pair<DesiredRow, std::string>>> desired_due(std::string_view replica,
                                                                      std::size_t limit) override;
  Result<std::unique_ptr<CommandWatch>> watch(std::function<void()> wake) override;

  /// Of a change that makes something due: within it, so that other replicas hear of its commit ...
  void notify(sql::Connection& db) const {
    if (!notify_.empty()) db.run(notify_);
  }
  /// ... and after it, for this process.
  void wake() { wakes_.wake(); }

 private:
  SqlAccess& access_;
  const std::string notify_;
  const Listen listen_;
  Wakes wakes_;
};

}  // namespace lapwing::hub
