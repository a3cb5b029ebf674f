// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/topics.hpp"

#include <array>

namespace lapwing::wire {
namespace {

constexpr std::string_view kPrefix = "lapwing/v1/";
constexpr std::array<std::string_view, 15> kChannels = {
    "hello", "records", "report", "fetch",   "status",      "result", "certificate", "welcome",
    "ack",   "desired", "chunk",  "command", "certificate", "offer",  "contribution"};

/// Cuts the text before the next `/` off the front; the whole rest when there is none.
std::string_view next_level(std::string_view& rest) {
  const std::size_t slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return level;
}

}  // namespace

bool valid_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 64 || name.front() == '.') return false;
  for (const char c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!fine) return false;
  }
  return true;
}

Result<Identity> parse_identity(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto tenant = text.substr(0, slash);
    const auto device = text.substr(slash + 1);
    if (valid_name(tenant) && valid_name(device)) {
      return Identity{std::string(tenant), std::string(device)};
    }
  }
  return Error{Errc::bad_input,
               "\"" + std::string(text.substr(0, 130)) +
                   "\" is not <tenant>/<device>, each 1 to 64 of A-Z a-z 0-9 . _ -"};
}

std::string to_string(const Identity& identity) { return identity.tenant + "/" + identity.device; }

std::string_view to_string(Channel channel) noexcept {
  return kChannels[static_cast<std::size_t>(channel)];
}

bool is_up(Channel channel) noexcept {
  return channel <= Channel::certificate || channel == Channel::contribution;
}

std::string topic(const Identity& identity, Channel channel) {
  std::string text(kPrefix);
  text += to_string(identity);
  text += is_up(channel) ? "/up/" : "/down/";
  text += to_string(channel);
  return text;
}

std::string down_filter(const Identity& identity) {
  return std::string(kPrefix) + to_string(identity) + "/down/#";
}

std::optional<ParsedTopic> parse_topic(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  std::string_view rest = text.substr(kPrefix.size());
  const auto tenant = next_level(rest);
  const auto device = next_level(rest);
  const auto direction = next_level(rest);
  if (!valid_name(tenant) || !valid_name(device)) return std::nullopt;
  for (std::size_t i = 0; i < kChannels.size(); ++i) {
    const auto channel = static_cast<Channel>(i);
    if (rest == kChannels[i] && direction == (is_up(channel) ? "up" : "down")) {
      return ParsedTopic{{std::string(tenant), std::string(device)}, channel};
    }
  }
  return std::nullopt;
}

}  // namespace lapwing::wire
