// SPDX-License-Identifier: Apache-2.0
#include "shared/wire/settings.hpp"

#include "shared/base/config.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace lapwing::wire {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kPaceMax = std::uint64_t{1} << 30U;
constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};

/// Empty, or what is wrong with the value.
std::string read_one(const std::string& key, const Json& value, Settings& to) {
  if (key == "pace_bytes_per_second") {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kPaceMax) {
      return "a whole number from 0 to 1073741824 is wanted";
    }
    to.pace_bytes_per_second = value.get<std::uint64_t>();
  } else if (key == "status_interval") {
    if (!value.is_string()) return "a duration as \"30s\" is wanted";
    const auto interval = config::parse_duration(value.get<std::string>());
    if (!interval || *interval < std::chrono::seconds(1) || *interval > std::chrono::hours(1)) {
      return "a duration from 1s to 1h is wanted";
    }
    to.status_interval = *interval;
  } else if (key == "log_level") {
    if (!value.is_string() ||
        std::ranges::find(kLevels, value.get<std::string>()) == kLevels.end()) {
      return "debug, info, warn or error is wanted";
    }
    to.log_level = value.get<std::string>();
  } else {
    return "is no setting; pace_bytes_per_second, status_interval and log_level are";
  }
  return {};
}

}  // namespace

ReadSettings read_settings(std::string_view document) {
  ReadSettings read;
  const auto json = Json::parse(document, nullptr, false);
  if (!json.is_object()) {
    read.problem = "the settings are no JSON object";
    return read;
  }
  for (const auto& [key, value] : json.items()) {
    const auto wrong = read_one(key, value, read.settings);
    if (!wrong.empty() && read.problem.empty()) {
      read.problem = "\"" + key.substr(0, 64) + "\": " + wrong;
    }
  }
  return read;
}

}  // namespace lapwing::wire
