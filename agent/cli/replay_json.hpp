// SPDX-License-Identifier: Apache-2.0
/// What `replay --json` prints.
#pragma once

#include "agent/replay/judge.hpp"
#include "agent/replay/replay.hpp"

#include <nlohmann/json.hpp>

namespace lapwing::agent {

[[nodiscard]] nlohmann::json to_json(const ReplayReport& report);
[[nodiscard]] nlohmann::json to_json(const Judgement& judgement);

}  // namespace lapwing::agent
