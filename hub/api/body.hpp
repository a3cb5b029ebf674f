// SPDX-License-Identifier: Apache-2.0
/// Inside of hub/api: a request's JSON object, checked, and JSON as the API writes it.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/http/message.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

using Json = nlohmann::ordered_json;

/// Bytes that are not UTF-8 are replaced: texts were checked, but a page must not fail for one odd
/// byte.
inline std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline Json time_json(std::optional<Time> time) {
  return time ? Json(to_rfc3339(*time)) : Json(nullptr);
}

/// A request's JSON object, read key by key; the first problem is kept.
class Body {
 public:
  static constexpr std::int64_t kSecondsMax = std::int64_t{100} * 365 * 24 * 3'600;

  explicit Body(const http::Request& request) {
    json_ = Json::parse(request.body, nullptr, false);
    if (!json_.is_object()) {
      wrong("the body is not a JSON object");
      json_ = Json::object();
    }
  }

  std::string text(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    if (at != json_.end() && at->is_string()) return at->get<std::string>();
    wrong("\"" + std::string(key) + "\": a text is required");
    return {};
  }

  std::vector<std::string> texts(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    std::vector<std::string> list;
    if (at != json_.end() && at->is_array() && at->size() <= 16) {
      for (const auto& one : *at) {
        if (one.is_string()) list.push_back(one.get<std::string>());
      }
      if (list.size() == at->size()) return list;
    }
    wrong("\"" + std::string(key) + "\": a list of texts is required");
    return {};
  }

  std::optional<std::int64_t> seconds(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    if (at == json_.end() || at->is_null()) return std::nullopt;
    if (at->is_number_integer() && at->get<std::int64_t>() >= 1 &&
        at->get<std::int64_t>() <= kSecondsMax) {
      return at->get<std::int64_t>();
    }
    wrong("\"" + std::string(key) + "\": a whole number of seconds above 0 is wanted");
    return std::nullopt;
  }

  /// A whole number that a version may have.
  std::uint64_t whole(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    if (at != json_.end() && at->is_number_unsigned() && at->get<std::uint64_t>() >> 62U == 0) {
      return at->get<std::uint64_t>();
    }
    wrong("\"" + std::string(key) + "\": a whole number is required");
    return 0;
  }

  bool truth(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    if (at != json_.end() && at->is_boolean()) return at->get<bool>();
    wrong("\"" + std::string(key) + "\": true or false is required");
    return false;
  }

  /// An object's text; empty when it is absent.
  std::string object(const char* key) {
    known_.emplace_back(key);
    const auto at = json_.find(key);
    if (at == json_.end() || at->is_null()) return {};
    if (at->is_object()) return dump(*at);
    wrong("\"" + std::string(key) + "\": an object is wanted");
    return {};
  }

  /// Call last: also finds keys that nobody read.
  const std::optional<Error>& problem() {
    for (const auto& [key, value] : json_.items()) {
      if (std::ranges::find(known_, key) == known_.end()) {
        wrong("\"" + key.substr(0, 64) + "\": unknown key");
      }
    }
    return problem_;
  }

 private:
  void wrong(std::string what) {
    if (!problem_) problem_ = Error{Errc::bad_input, std::move(what)};
  }

  Json json_;
  std::vector<std::string> known_;
  std::optional<Error> problem_;
};

}  // namespace lapwing::hub
