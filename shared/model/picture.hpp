// SPDX-License-Identifier: Apache-2.0
/// How a model's scores are spread, drawn.
#pragma once

#include "shared/model/train.hpp"

#include <string>
#include <string_view>

namespace lapwing::model {

/// SVG: for each score the share of the rows that score higher, of those it was trained on and of
/// those held out. One curve over the other is a model that fits what came later.
[[nodiscard]] std::string draw_spread(const Evaluation& evaluation, std::string_view title);

}  // namespace lapwing::model
