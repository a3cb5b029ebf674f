// SPDX-License-Identifier: Apache-2.0
/// `lapwing-agent replay FILE`: a CSV file through the pipeline of one stream, as if it were live.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"
#include "shared/detect/watch.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

struct ReplayOptions {
  std::filesystem::path file;                  ///< `-` is standard input
  std::string timestamp_column = "timestamp";  ///< a header's name, or a number from 1
  std::string value_column = "value";          ///< likewise
  char delimiter = ',';
  detect::WatchConfig watch;
  std::filesystem::path plot;                           ///< where the picture goes; empty: none
  std::size_t file_bytes_max = std::size_t{512} << 20;  ///< a larger file is refused: split it
};

/// A row that could not be read.
struct BadRow {
  std::size_t line = 0;  ///< from 1
  std::string what;
};

struct ReplayReport {
  static constexpr std::size_t kBadRowsKept = 20;

  std::uint64_t rows = 0;      ///< data rows, the header not counted
  std::uint64_t readings = 0;  ///< rows that could be read
  std::uint64_t dropped = 0;   ///< of these: repeated or out of order
  std::uint64_t rows_bad = 0;
  std::vector<BadRow> bad;     ///< the first kBadRowsKept of them
  bool times_made_up = false;  ///< the file has no time column: one reading a second is assumed
  bool warm = false;           ///< the warm-up was completed: the rest was scored
  Time first{};
  Time last{};
  double seconds = 0;                    ///< it took
  std::vector<detect::Event> anomalies;  ///< each once, as it ended, by onset
};

/// Reads the rows, replays the readings and draws the picture if asked.
///
/// Times: epoch seconds, milliseconds, microseconds or nanoseconds (told apart by size), RFC 3339,
///   or `2026-11-24 08:43:46` taken as UTC. A header is optional; other columns are ignored. A file
///   with one column, or whose header names no such timestamp column but the value, has no times.
/// Errors: io (cannot be read or the picture not written), limit (too large), bad_input (no such
///   column, or no row at all can be read), bad_config. A bad row is counted, never an error.
/// Cost: reads the whole file into memory; about 2 million rows a second before detection.
Result<ReplayReport> replay(const ReplayOptions& options);

/// The report for people: one line an anomaly, then a summary and the bad rows.
[[nodiscard]] std::string to_text(const ReplayReport& report);

/// Time as in a CSV row. Errors: bad_input.
Result<Time> parse_csv_time(std::string_view text);

}  // namespace lapwing::agent
