// SPDX-License-Identifier: Apache-2.0
/// MQTT topics between agent and hub: `lapwing/v1/<tenant>/<device>/up/...` and `.../down/...`.
#pragma once

#include "shared/base/result.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::wire {

/// Who a certificate says one is.
struct Identity {
  std::string tenant;
  std::string device;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

/// 1 to 64 of `[A-Za-z0-9._-]`, not starting with a dot: safe in topics, file names and URLs.
[[nodiscard]] bool valid_name(std::string_view name) noexcept;
/// Reads `<tenant>/<device>` (a certificate's common name). Errors: bad_input.
Result<Identity> parse_identity(std::string_view text);
[[nodiscard]] std::string to_string(const Identity& identity);

enum class Channel : std::uint8_t {
  hello,
  records,
  report,
  fetch,
  status,
  result,
  certificate,  // up
  welcome,
  ack,
  desired,
  chunk,
  command,
  certificate_answer,  // down: `certificate`
  offer,
  contribution,  // up again
};
[[nodiscard]] std::string_view to_string(Channel channel) noexcept;
[[nodiscard]] bool is_up(Channel channel) noexcept;

/// `lapwing/v1/plant1/edge-1/up/records`
[[nodiscard]] std::string topic(const Identity& identity, Channel channel);
/// Everything one device hears: `lapwing/v1/plant1/edge-1/down/#`.
[[nodiscard]] std::string down_filter(const Identity& identity);
/// Everything the hub hears: `lapwing/v1/+/+/up/#`.
inline constexpr std::string_view kUpFilter = "lapwing/v1/+/+/up/#";

struct ParsedTopic {
  Identity identity;
  Channel channel = Channel::hello;
};
/// nullopt: not a topic of this protocol.
[[nodiscard]] std::optional<ParsedTopic> parse_topic(std::string_view topic);

}  // namespace lapwing::wire
