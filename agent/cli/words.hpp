// SPDX-License-Identifier: Apache-2.0
/// How commands write what the protocol says.
#pragma once

#include "shared/wire/messages.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string_view>

namespace lapwing::agent {

[[nodiscard]] std::string_view word(wire::RecordClass record_class);
[[nodiscard]] std::string_view word(wire::Phase phase);
[[nodiscard]] std::string_view word(wire::Severity severity);
[[nodiscard]] std::string_view word(wire::Reason reason);
[[nodiscard]] std::string_view word(wire::LossReason reason);
/// null where JSON has no such number.
[[nodiscard]] nlohmann::json number(double value);

}  // namespace lapwing::agent
