// SPDX-License-Identifier: Apache-2.0
/// What a device does when it is told to: each command once, however often it comes.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/wire/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Answers of the newest kRememberedMax commands are remembered, so that one that comes again (its
/// answer was lost, or another replica sent it) is answered and not done. After a restart of the
/// agent a command may be done again: kinds must stand that.
/// Threads: one object belongs to one thread.
class CommandDesk {
 public:
  static constexpr std::size_t kRememberedMax = 256;
  /// Does it. `arguments` is a JSON object's text, or empty; nothing of it was checked. The result
  /// is a few words for people, or JSON; an error's context is the reason why it failed.
  using Handler = std::function<Result<std::string>(std::string_view arguments)>;

  /// Replaces the kind's handler.
  void on(std::string kind, Handler handler) { handlers_[std::move(kind)] = std::move(handler); }

  /// The answer, but for its connection. Absent: nobody waits for one.
  std::optional<wire::CommandResult> take(const wire::Command& command, Time at);

 private:
  wire::CommandResult carry_out(const wire::Command& command, Time at) const;

  std::map<std::string, Handler, std::less<>> handlers_;
  std::deque<wire::CommandResult> remembered_;  ///< oldest first
};

}  // namespace lapwing::agent
