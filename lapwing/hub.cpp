// SPDX-License-Identifier: Apache-2.0
#include "lapwing/hub.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace lapwing::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPageRows = 500;

std::string with_query(std::string_view path,
                       const std::vector<std::pair<std::string, std::string>>& query) {
  std::string target(path);
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    target += separator + name + "=" + http::percent_encode(value);
    separator = '&';
  }
  return target;
}

}  // namespace

Result<Hub> Hub::make(Settings settings) {
  auto origin = http::parse_origin(settings.hub);
  if (!origin) return origin.error();
  return Hub(std::move(settings.hub), {.origin = *std::move(origin),
                                       .ca_file = std::move(settings.ca_file),
                                       .bearer = std::move(settings.token)});
}

Error Hub::refusal(const http::Response& response) {
  const std::string detail =
      http::problem_detail(response) + " (HTTP " + std::to_string(response.status) + ")";
  switch (response.status) {
    case 400:
      return {Errc::bad_input, "the hub refused the request: " + detail};
    case 401:
      return {Errc::denied, "the hub refused the token: " + detail + "; run lapwing login"};
    case 403:
      return {Errc::denied, "the hub refused: " + detail};
    case 404:
      return {Errc::not_found, "the hub does not know it: " + detail};
    case 409:
      return {Errc::exists, "the hub refused: " + detail};
    default:
      return {Errc::io, "the hub failed: " + detail};
  }
}

Error Hub::not_a_hub() {
  return {Errc::corrupt, "the answer is not that of a Lapwing hub; check the address"};
}

Result<std::vector<Json>> Hub::list(std::string_view path,
                                    const std::vector<std::pair<std::string, std::string>>& query,
                                    std::size_t items_max) const {
  std::vector<Json> items;
  std::string cursor;
  do {
    const std::size_t wanted =
        items_max == 0 ? kPageRows : std::min(kPageRows, items_max - items.size());
    auto page_query = query;
    page_query.emplace_back("limit", std::to_string(wanted));
    page_query.emplace_back("cursor", cursor);
    const auto response = get(with_query(path, page_query));
    if (!response) return response.error();
    if (response->status != 200) return refusal(*response);
    auto page = Json::parse(response->body, nullptr, false);
    if (!page.is_object() || !page["items"].is_array()) {
      return not_a_hub();
    }
    for (auto& item : page["items"]) items.push_back(std::move(item));
    cursor = page["next_cursor"].is_string() ? page["next_cursor"].get<std::string>() : "";
  } while (!cursor.empty() && (items_max == 0 || items.size() < items_max));
  return items;
}

Result<void> Hub::follow(const std::string& device, std::string_view last_event_id,
                         const http::Client::EventHandlers& handlers) const {
  return client_.events(with_query("/api/v1/feed", {{"device", device}}), last_event_id, handlers);
}

Result<std::string> Hub::feed_position(const std::string& device) const {
  std::string position;
  std::optional<Error> refused;
  const auto read = follow(device, "",
                           {.on_event =
                                [&](const http::Event& event) {
                                  position = event.id;
                                  return false;
                                },
                            .on_refused = [&](const http::Response& r) { refused = refusal(r); }});
  if (!read) return read.error();
  if (refused) return *std::move(refused);
  return position;
}

}  // namespace lapwing::cli
