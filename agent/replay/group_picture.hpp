// SPDX-License-Identifier: Apache-2.0
/// A picture of one group: a lane for each sensor, anomalies, and the score below.
#pragma once

#include "agent/replay/replay.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// The sensors a picture shows, at most kLanesMax: those with the greatest shares in the anomalies
/// first, an anomaly of one sensor being wholly its own; else in the order of the columns.
[[nodiscard]] std::vector<std::size_t> lanes_of(const ReplayReport& report);
inline constexpr std::size_t kLanesMax = 12;

/// The picture as SVG, of bounded size: at most about 1 MiB. `scores` are the rows', `report` is of
/// the same rows. Anomalies of the group are shaded in every lane, more strongly in those of the
/// sensors that contributed most; those of one sensor in its lane only.
[[nodiscard]] std::string group_picture(std::string_view title, const Rows& rows,
                                        std::span<const RowScore> scores,
                                        const ReplayReport& report);

}  // namespace lapwing::agent
