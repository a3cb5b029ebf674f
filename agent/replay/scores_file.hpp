// SPDX-License-Identifier: Apache-2.0
/// The scores of a file as CSV.
#pragma once

#include "agent/replay/read_rows.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::agent {

struct RowScore;

/// `timestamp,value,score,anomaly_score`: one row for each data row of the input, in its order, the
/// unreadable ones included. Time and value are as written there; `score` is above 1 where
/// anomalous; `anomaly_score` is the strength of an anomaly at the row that gave it away, else 0.
/// Numbers have as many digits as it takes to read the same number back.
[[nodiscard]] std::string scores_csv(const Rows& rows, std::span<const RowScore> scores);

/// Writes it, and the folders it lies in. Errors: io.
Result<void> write_scores(const std::filesystem::path& path, const Rows& rows,
                          std::span<const RowScore> scores);

/// Errors: io.
Result<void> write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace lapwing::agent
