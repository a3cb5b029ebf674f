// SPDX-License-Identifier: Apache-2.0
/// The scores of a file as CSV.
#pragma once

#include "agent/replay/rows.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <string_view>

namespace lapwing::agent {

struct RowScores;

/// Writes the scores, and the folders they lie in: one row for each data row of the input, in its
/// order, the unreadable ones included.
///
/// Of a stream: `timestamp,value,score,anomaly_score`. Of a group: `timestamp`, the sensors'
/// values, `score,anomaly_score`, and for each sensor `contribution:NAME`, its share in the score.
/// Time and values are as written there, values empty where they are no numbers; `score` is above 1
/// where anomalous; `anomaly_score` is the strength of an anomaly at the row that gave it away,
/// else 0. Numbers have as many digits as it takes to read the same number back.
/// Errors: io.
Result<void> write_scores(const std::filesystem::path& path, const Rows& rows,
                          const RowScores& scores);

/// Errors: io.
Result<void> write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace lapwing::agent
