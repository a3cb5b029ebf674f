// SPDX-License-Identifier: Apache-2.0
/// A CSV file as rows of time and value, whatever its columns are called.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

inline constexpr std::string_view kTimestampColumn = "timestamp";
inline constexpr std::string_view kValueColumn = "value";

/// Columns are named by the header's name, or a number from 1.
struct ReadOptions {
  std::filesystem::path file;  ///< `-` is standard input
  std::string timestamp_column = std::string(kTimestampColumn);
  std::vector<std::string> value_columns = {std::string(kValueColumn)};
  std::string label_column;  ///< empty: none; else its numbers are labels, above 0 is anomalous
  char delimiter = ',';
  Micros interval = std::chrono::seconds(1);  ///< between rows of a file that has no times
  std::size_t file_bytes_max = std::size_t{512} << 20;  ///< a larger file is refused: split it
};

/// One data row as it stood in the file.
struct Row {
  std::string timestamp;  ///< as written; the time made up where the file has none
  std::string value;      ///< as written; empty where it is no number
  Time time{};
  double number = 0;       ///< NaN: a hole in the data
  bool readable = false;   ///< time and value
  bool anomalous = false;  ///< by the label column
};

/// A row that could not be read.
struct BadRow {
  std::size_t line = 0;  ///< from 1
  std::string what;
};

struct Rows {
  static constexpr std::size_t kBadRowsKept = 20;

  std::vector<Row> rows;  ///< every data row of the file, in its order
  std::uint64_t bad_total = 0;
  std::vector<BadRow> bad;     ///< the first kBadRowsKept of them
  bool times_made_up = false;  ///< the file has no time column
  std::string value_name;      ///< the header's name of the value column; empty without a header
};

/// Reads the file.
///
/// Times: epoch seconds, milliseconds, microseconds or nanoseconds (told apart by size), RFC 3339,
///   or `2026-11-24 08:43:46` taken as UTC. A header is optional; other columns are ignored. When
///   the header names no column `timestamp`, one called time, datetime, date or ts is taken, or the
///   first of two; else the file has no times. When it names no column `value`, the first that
///   holds a number and is neither time nor label.
/// Errors: io (cannot be read), limit (too large), bad_config (several value columns: rows of
///   groups are not replayed), bad_input (no such column, or no row at all can be read). A bad row
///   is kept as unreadable and counted, never an error.
/// Cost: the whole file and its rows are held in memory; about 2 million rows a second.
Result<Rows> read_rows(const ReadOptions& options);

/// Time as in a CSV row. Errors: bad_input.
Result<Time> parse_csv_time(std::string_view text);

}  // namespace lapwing::agent
