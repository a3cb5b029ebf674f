// SPDX-License-Identifier: Apache-2.0
/// What operators want of devices: commands, each until it is answered, and desired settings, of
/// which the newest count.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

enum class CommandStatus : std::uint8_t {
  pending = 1,
  sent = 2,
  done = 3,
  failed = 4,
  expired = 5
};

/// One command to one device.
struct CommandRow {
  DeviceKey key;
  std::uint64_t id = 0;  ///< of the device; grows, never used twice
  std::string kind;
  std::string arguments;  ///< a JSON object; empty: none
  CommandStatus status = CommandStatus::pending;
  std::string actor;  ///< who wants it, as in AuditRow
  Time created_at{};
  Time expires_at{};  ///< not answered by then: expired
  std::optional<Time> sent_at;
  std::optional<Time> ended_at;
  std::string result;  ///< the device's words
};

/// A device's settings as they should be, and as it last said they are.
struct DesiredRow {
  DeviceKey key;
  std::uint64_t version = 0;  ///< grows with each change; 0: nothing was ever desired
  std::string document;       ///< a JSON object (shared/wire/settings.hpp); "{}" in version 0
  std::optional<Time> changed_at;
  std::string actor;
  std::uint64_t reported_version = 0;  ///< what the device runs with
  std::string reported_problem;        ///< what of it the device could not apply
};

/// A message that waits for a device which is connected to the replica that asks.
struct DueCommand {
  CommandRow command;
  std::string connection_id;  ///< the device's; to be told with mark_sent
};

/// Ends the subscription when destroyed; once that returns the callback is not called any more.
class CommandWatch {
 public:
  virtual ~CommandWatch() = default;
};

/// Bounds: kOpenMax commands of a device that are not answered; the newest kEndedMax of those that
///   are. Errors: not_found (no such device), limit (kOpenMax), io, corrupt.
/// Threads: as Store.
class Commands {
 public:
  static constexpr std::size_t kOpenMax = 100;
  static constexpr std::size_t kEndedMax = 200;
  /// A command that was sent and not answered is sent again after so long, on the same connection.
  static constexpr Micros kResendAfter = std::chrono::seconds(30);

  virtual ~Commands() = default;
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  /// Gives it its id, and wakes watchers on every replica. `id`, `status` and what follows from
  /// them are ignored.
  virtual Result<CommandRow> add(const CommandRow& command) = 0;
  virtual Result<Page<CommandRow>> list(const DeviceKey& key,
                                        const PageRequest& page) = 0;  ///< newest first
  virtual Result<CommandRow> get(const DeviceKey& key, std::uint64_t id) = 0;

  /// Open commands of devices that are online through this replica's broker: those not sent on the
  /// device's present connection, or sent kResendAfter ago. Oldest first, at most `limit`.
  virtual Result<std::vector<DueCommand>> due(std::string_view replica, Time at,
                                              std::size_t limit) = 0;
  /// They were handed to the broker.
  virtual Result<void> mark_sent(std::span<const DueCommand> sent, Time at) = 0;
  /// The device's answer; of no effect on a command that has ended. False: none is open.
  virtual Result<bool> finish(const DeviceKey& key, std::uint64_t id, CommandStatus status,
                              std::string_view result, Time at) = 0;
  /// Those beyond their time become expired. The count.
  virtual Result<std::uint64_t> expire(Time at) = 0;

  /// Replaces the settings and wakes watchers. `expected`: only if this is the version now, else
  /// `exists`.
  virtual Result<DesiredRow> desire(const DeviceKey& key, std::string_view document,
                                    std::optional<std::uint64_t> expected, std::string_view actor,
                                    Time at) = 0;
  virtual Result<DesiredRow> desired(const DeviceKey& key) = 0;
  /// Settings of devices that are online through this replica's broker and report another version;
  /// with the connection's id.
  virtual Result<std::vector<std::pair<DesiredRow, std::string>>> desired_due(
      std::string_view replica, std::size_t limit) = 0;

  /// Calls `wake`, from any thread, when there may be something due that was not before, by
  /// whichever replica; `wake` must only notify. A call may be missing: look every few seconds
  /// besides.
  virtual Result<std::unique_ptr<CommandWatch>> watch(std::function<void()> wake) = 0;

 protected:
  Commands() = default;
};

}  // namespace lapwing::hub
