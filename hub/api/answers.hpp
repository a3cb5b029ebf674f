// SPDX-License-Identifier: Apache-2.0
/// Inside of hub/api: what handlers of lists and of things with a number share.
#pragma once

#include "hub/api/body.hpp"
#include "hub/api/handlers.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lapwing::hub {

/// Nobody between may keep it.
inline http::Response unkept(const Json& json, unsigned status = 200) {
  auto response = http::json_response(dump(json), status);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

template <class Row, class ToJson>
Json page_json(const Page<Row>& page, const ToJson& to_json) {
  auto items = Json::array();
  for (const auto& row : page.items) items.push_back(to_json(row));
  return {{"items", std::move(items)},
          {"next_cursor", page.next_cursor ? Json(*page.next_cursor) : Json(nullptr)}};
}

/// Absent: it is none, or one that the database has no numbers for.
inline std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value >> 62U == 0 ? std::optional(value) : std::nullopt;
}

/// The id in the address; 0, which nothing has, when it is no number.
inline std::uint64_t id_of(const Call& call) {
  return whole_number(call.request.parameter("id")).value_or(0);
}

inline Result<void> audited(const Desk& desk, const Call& call, const char* action,
                            const std::string& subject, std::string detail) {
  return desk.parts.store.add_audit({.tenant = call.token.tenant,
                                     .at = now(),
                                     .actor = call.token.id,
                                     .action = action,
                                     .subject = subject,
                                     .detail = std::move(detail)});
}

}  // namespace lapwing::hub
