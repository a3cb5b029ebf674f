// SPDX-License-Identifier: Apache-2.0
/// What a model is, for people and for programs.
#pragma once

#include "shared/model/header.hpp"
#include "shared/model/train.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace lapwing::model {

[[nodiscard]] std::string to_text(const Header& header);
[[nodiscard]] nlohmann::json to_json(const Header& header);
[[nodiscard]] std::string to_text(const Evaluation& evaluation);
[[nodiscard]] nlohmann::json to_json(const Evaluation& evaluation);

}  // namespace lapwing::model
