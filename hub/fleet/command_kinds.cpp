// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/command_kinds.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;

struct Kind {
  std::string_view name;
  std::string_view number;  ///< its one argument, a whole number; empty: none
  std::int64_t max = 0;
};

constexpr std::array<Kind, 3> kKinds{
    {{"reconnect", "within_ms", 600'000}, {"report_status", "", 0}, {"renew_certificate", "", 0}}};

Result<void> check_arguments(const Kind& kind, std::string_view arguments) {
  if (arguments.empty()) return {};
  const auto json = Json::parse(arguments, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "arguments: a JSON object is wanted"};
  for (const auto& [key, value] : json.items()) {
    if (key != kind.number) {
      return Error{Errc::bad_input, "arguments: " + std::string(kind.name) + " knows no \"" +
                                        key.substr(0, 64) + "\""};
    }
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
        value.get<std::int64_t>() > kind.max) {
      return Error{Errc::bad_input, "arguments: " + key + " is a whole number from 0 to " +
                                        std::to_string(kind.max)};
    }
  }
  return {};
}

}  // namespace

Result<void> check_command(std::string_view kind, std::string_view arguments) {
  std::string known;
  for (const auto& one : kKinds) {
    if (one.name == kind) return check_arguments(one, arguments);
    known.append(known.empty() ? "" : ", ").append(one.name);
  }
  return Error{Errc::bad_input,
               "kind \"" + std::string(kind.substr(0, 64)) + "\": known are " + known};
}

}  // namespace lapwing::hub
