// SPDX-License-Identifier: Apache-2.0
#include "hub/roles.hpp"

#include <array>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::array<std::pair<const char*, bool Roles::*>, 3> kRoles{
    {{"sync", &Roles::sync}, {"api", &Roles::api}, {"worker", &Roles::worker}}};

}  // namespace

std::string Roles::text() const {
  std::string text;
  for (const auto& [name, member] : kRoles) {
    if (this->*member) text += (text.empty() ? "" : ",") + std::string(name);
  }
  return text;
}

Result<Roles> parse_roles(std::span<const std::string> words) {
  Roles roles{.sync = false, .api = false, .worker = false};
  for (const auto& word : words) {
    bool known = false;
    for (const auto& [name, member] : kRoles) {
      if (word != name) continue;
      roles.*member = true;
      known = true;
    }
    if (!known) {
      return Error{Errc::bad_input,
                   "role \"" + word.substr(0, 32) + "\": sync, api and worker are known"};
    }
  }
  if (words.empty()) {
    return Error{Errc::bad_input, "no role: at least one of sync, api and worker is needed"};
  }
  return roles;
}

}  // namespace lapwing::hub
