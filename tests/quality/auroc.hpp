// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace lapwing::quality {

/// Area under the receiver operating characteristic; ties share a threshold.
/// NaN when the labels are all the same.
[[nodiscard]] double auroc(std::span<const std::uint8_t> labels, std::span<const float> scores);

}  // namespace lapwing::quality
