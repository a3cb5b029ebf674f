// SPDX-License-Identifier: Apache-2.0
#include "hub/store/lists_text.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// An array, or an empty one.
Json parse(std::string_view text) {
  if (text.empty()) return Json::array();
  auto json = Json::parse(text, nullptr, false);
  return json.is_array() ? json : Json::array();
}

}  // namespace

std::string tags_text(const std::vector<wire::Tag>& tags) {
  if (tags.empty()) return {};
  auto json = Json::array();
  for (const auto& tag : tags) json.push_back(Json::array({tag.key, tag.value}));
  return dump(json);
}

std::string contributions_text(const std::vector<wire::Contribution>& contributions) {
  if (contributions.empty()) return {};
  auto json = Json::array();
  for (const auto& one : contributions) json.push_back(Json::array({one.stream, one.share}));
  return dump(json);
}

std::string words_text(const std::vector<std::string>& words) {
  return words.empty() ? std::string() : dump(Json(words));
}

std::vector<wire::Tag> tags_from(std::string_view text) {
  std::vector<wire::Tag> tags;
  for (const auto& one : parse(text)) {
    if (one.size() != 2 || !one[0].is_string() || !one[1].is_string()) continue;
    tags.push_back({one[0].get<std::string>(), one[1].get<std::string>()});
  }
  return tags;
}

std::vector<wire::Contribution> contributions_from(std::string_view text) {
  std::vector<wire::Contribution> contributions;
  for (const auto& one : parse(text)) {
    if (one.size() != 2 || !one[0].is_string()) continue;
    // A share that is not a number was written as null.
    const auto share = one[1].is_number() ? one[1].get<double>() : wire::kUnknown;
    contributions.push_back({one[0].get<std::string>(), share});
  }
  return contributions;
}

std::vector<std::string> words_from(std::string_view text) {
  std::vector<std::string> words;
  for (const auto& one : parse(text)) {
    if (one.is_string()) words.push_back(one.get<std::string>());
  }
  return words;
}

}  // namespace lapwing::hub
