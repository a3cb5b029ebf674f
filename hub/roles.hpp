// SPDX-License-Identifier: Apache-2.0
/// What one process of a hub does. Several processes on one PostgreSQL may share the roles out.
#pragma once

#include "shared/base/result.hpp"

#include <span>
#include <string>

namespace lapwing::hub {

/// Plain data; all of them unless told otherwise.
struct Roles {
  bool sync = true;    ///< takes in what devices send, through the process's own broker
  bool api = true;     ///< answers people and programs; without it HTTP has health and metrics only
  bool worker = true;  ///< upkeep and jobs

  [[nodiscard]] std::string text() const;  ///< `sync,api,worker`
  friend bool operator==(const Roles&, const Roles&) = default;
};

/// Any of `sync`, `api`, `worker`, at least one. Errors: bad_input, the three named.
Result<Roles> parse_roles(std::span<const std::string> words);

}  // namespace lapwing::hub
