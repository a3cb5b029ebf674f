// SPDX-License-Identifier: Apache-2.0
/// `lapwing-agent replay FILE`: a CSV file through the pipeline of a stream or of a group of
/// sensors, as if it were live.
#pragma once

#include "agent/replay/rows.hpp"
#include "agent/replay/window.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/group.hpp"
#include "shared/detect/watch.hpp"
#include "shared/model/live.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::agent {

/// Rows done of all; called now and then.
using ReplayProgress = std::function<void(std::size_t done, std::size_t all)>;

struct ReplayOptions : ReadOptions {
  /// Labelled events of the file; none: those of the label column, if it has one.
  std::optional<std::vector<Window>> labelled;
  detect::WatchConfig watch;                      ///< of a group: `detector` is a kind for groups
  std::shared_ptr<const model::LiveModel> model;  ///< scores the rows, of its sensors, instead
  std::filesystem::path plot;                     ///< where the picture goes; empty: none
  std::filesystem::path out;  ///< where the scores go (see write_scores); empty: none
  ReplayProgress progress;    ///< may be empty
};

/// What the pipeline said of one data row.
struct RowScore {
  float score = 0;           ///< 0 for rows that were unreadable or left out
  float onset_strength = 0;  ///< Verdict::alarm where an anomaly of any reason was found, else 0
};

struct RowScores {
  std::vector<RowScore> rows;  ///< one for each data row
  /// Of a group: Rows::width() shares in each row's score, which add up to 1; 0 where the row was
  /// not scored. Of a stream: empty.
  std::vector<float> contributions;
};

/// An anomaly as it ended.
struct Anomaly {
  detect::Event event;
  Time found{};                       ///< time of the row that gave it away
  std::optional<std::size_t> sensor;  ///< of a group: whose it is; none: of all of them together
  std::vector<detect::Part> parts;    ///< of one of all together: at its peak, largest first
  std::string text;                   ///< what it is, for people
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
  Time scored_from{};                ///< of the first row scored; meaningless unless warm
  double seconds = 0;                ///< it took
  std::vector<std::string> sensors;  ///< of a group; of a stream empty
  std::vector<Anomaly> anomalies;    ///< by onset, then by sensor
  std::optional<std::vector<Window>> labelled;  ///< to judge the anomalies by
};

/// The rows through the pipeline, and the picture if asked. Errors: bad_config, io.
Result<RowScores> score_rows(const Rows& rows, const ReplayOptions& options, ReplayReport& report);

/// Reads the rows, replays them, and writes scores and picture if asked.
/// Errors: those of read_rows; io (the picture or the scores are not written), bad_config.
/// Repeatable: the same file and options give the same bytes.
Result<ReplayReport> replay(const ReplayOptions& options);

}  // namespace lapwing::agent
