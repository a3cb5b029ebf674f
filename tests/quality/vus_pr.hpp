// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing::quality {

/// Volume under the surface of precision and recall (Paparrizos et al., VLDB 2022), as the TSB-AD
/// benchmark computes it: the mean, over buffers of 0 to `window` rows, of the area under the curve
/// of range-aware precision and recall at 250 thresholds. 1 is best; the share of anomalous rows is
/// about what chance gives. `labels` are 0 or 1 with at least one 1; `scores` are finite.
/// Cost: (window + 1) passes over the rows near labels.
[[nodiscard]] double vus_pr(std::span<const std::uint8_t> labels, std::span<const float> scores,
                            std::size_t window);

}  // namespace lapwing::quality
