// SPDX-License-Identifier: Apache-2.0
/// `lapwing-agent replay FILE`: a CSV file through the pipeline of one stream, as if it were live.
#pragma once

#include "agent/replay/read_rows.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"
#include "shared/detect/watch.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace lapwing::agent {

/// Rows done of all; called now and then.
using ReplayProgress = std::function<void(std::size_t done, std::size_t all)>;

struct ReplayOptions : ReadOptions {
  detect::WatchConfig watch;
  std::filesystem::path plot;  ///< where the picture goes; empty: none
  std::filesystem::path out;   ///< where the scores go (see write_scores); empty: none
  ReplayProgress progress;     ///< may be empty
};

/// What the pipeline said of one data row.
struct RowScore {
  float score = 0;           ///< 0 for rows that were unreadable or left out
  float onset_strength = 0;  ///< Verdict::alarm where an anomaly of any reason was found, else 0
};

struct ReplayReport {
  std::uint64_t rows = 0;      ///< data rows, the header not counted
  std::uint64_t readings = 0;  ///< rows that could be read
  std::uint64_t dropped = 0;   ///< of these: repeated or out of order
  std::uint64_t rows_bad = 0;
  std::vector<BadRow> bad;     ///< the first of them
  bool times_made_up = false;  ///< the file has no time column
  bool warm = false;           ///< the warm-up was completed: the rest was scored
  Time first{};
  Time last{};
  Time scored_from{};                    ///< of the first reading scored; meaningless unless warm
  double seconds = 0;                    ///< it took
  std::vector<detect::Event> anomalies;  ///< each once, as it ended, by onset
  std::vector<Time> found;               ///< for each anomaly, the reading that gave it away
};

/// The rows through the pipeline; one score for each. Errors: bad_config.
Result<std::vector<RowScore>> score_rows(const Rows& rows, const ReplayOptions& options,
                                         ReplayReport& report);

/// Reads the rows, replays the readings, and writes scores and picture if asked. `rows`, when not
/// null, receives what was read.
/// Errors: those of read_rows; io (the picture or the scores are not written), bad_config.
/// Repeatable: the same file and options give the same bytes.
Result<ReplayReport> replay(const ReplayOptions& options, Rows* rows = nullptr);

}  // namespace lapwing::agent
