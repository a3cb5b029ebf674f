// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/command_desk.hpp"

#include "shared/wire/codec.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::agent {
namespace {

/// Cut between characters, so that it stays UTF-8.
std::string bounded(std::string text) {
  if (text.size() <= wire::kTextBytesMax) return text;
  auto end = wire::kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::optional<wire::CommandResult> CommandDesk::take(const wire::Command& command, Time at) {
  if (command.id == 0) {
    static_cast<void>(carry_out(command, at));
    return std::nullopt;
  }
  const auto known = std::ranges::find(remembered_, command.id, &wire::CommandResult::id);
  if (known != remembered_.end()) return *known;
  remembered_.push_back(carry_out(command, at));
  if (remembered_.size() > kRememberedMax) remembered_.pop_front();
  return remembered_.back();
}

wire::CommandResult CommandDesk::carry_out(const wire::Command& command, Time at) const {
  wire::CommandResult answer{.connection_id = {}, .id = command.id};
  if (command.expires && at >= *command.expires) {
    answer.result = "it came after it had expired";
    return answer;
  }
  const auto handler = handlers_.find(command.kind);
  if (handler == handlers_.end()) {
    answer.result = "this agent knows no command \"" + command.kind.substr(0, 64) + "\"";
    return answer;
  }
  auto done = handler->second(command.arguments);
  answer.state = done ? wire::CommandState::done : wire::CommandState::failed;
  answer.result = bounded(done ? *std::move(done) : std::move(done).error().context);
  return answer;
}

}  // namespace lapwing::agent
