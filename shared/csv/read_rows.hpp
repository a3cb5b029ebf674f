// SPDX-License-Identifier: Apache-2.0
/// A CSV file as rows of a time and one value or several, whatever its columns are called.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::csv {

inline constexpr std::string_view kTimestampColumn = "timestamp";
inline constexpr std::string_view kValueColumn = "value";
inline constexpr std::string_view kEveryColumn = "*";

/// Columns are named by the header's name, or a number from 1.
struct ReadOptions {
  std::filesystem::path file;  ///< `-` is standard input
  std::string timestamp_column = std::string(kTimestampColumn);
  /// One is a stream, several are a group. kEveryColumn, alone: each that is neither time nor label
  /// and whose first field is a number, empty ones not counted.
  std::vector<std::string> value_columns = {std::string(kValueColumn)};
  std::string label_column;  ///< empty: none; else its numbers are labels, above 0 is anomalous
  char delimiter = ',';
  Micros interval = std::chrono::seconds(1);  ///< between rows of a file that has no times
  std::size_t file_bytes_max = std::size_t{512} << 20;  ///< a larger file is refused: split it
  bool keep_written = true;  ///< Rows::written; without it they take a third of the memory
};

/// One data row; its values are in Rows.
struct Row {
  std::string_view timestamp;  ///< as written; empty where the file has no times
  Time time{};                 ///< made up where the file has none
  bool readable = false;       ///< the time, and at least one value or hole
  bool anomalous = false;      ///< by the label column
};

/// A row that could not be read, or of a group not in full.
struct BadRow {
  std::size_t line = 0;  ///< from 1
  std::string what;
};

/// Every data row of a file, in its order.
struct Rows {
  static constexpr std::size_t kBadRowsKept = 20;

  std::vector<Row> rows;
  std::vector<std::string> names;  ///< of the value columns: the header's, or numbers from 1
  std::vector<double> numbers;     ///< rows.size() * width(), row-major; NaN: missing
  /// Likewise, as written; empty where it is no number. ReadOptions::keep_written: else none.
  std::vector<std::string_view> written;
  std::uint64_t bad_total = 0;
  std::vector<BadRow> bad;     ///< the first kBadRowsKept of them
  bool times_made_up = false;  ///< the file has no time column
  struct Text;
  std::shared_ptr<const Text> text;  ///< what the views are of; shared by copies

  [[nodiscard]] std::size_t width() const { return names.size(); }
  [[nodiscard]] std::span<const double> numbers_of(std::size_t row) const {
    return std::span(numbers).subspan(row * width(), width());
  }
};

/// Reads the file.
///
/// Times: epoch seconds, milliseconds, microseconds or nanoseconds (told apart by size), RFC 3339,
///   or `2026-11-24 08:43:46` taken as UTC. A header is optional; other columns are ignored. When
///   the header names no column `timestamp`, one called time, datetime, date or ts is taken, or the
///   first of two; else the file has no times. When it names no column `value`, the first that
///   holds a number and is neither time nor label.
/// Bad rows: a field that is no number is missing, and its row is counted as bad; an empty field is
///   a mere hole. A row without a time, with too few fields or without one value that can be read
///   is kept as unreadable and counted. Neither is an error.
/// Errors: io (cannot be read), limit (too large), bad_config (a column is named twice), bad_input
///   (no such column, or no row at all can be read).
/// Cost: the whole file and its rows are held in memory; about 2 million rows of one value
///   a second, 700,000 of eight.
Result<Rows> read_rows(const ReadOptions& options);
/// Likewise of a text that was read already; `file` is its name, for messages.
Result<Rows> read_rows(const ReadOptions& options, std::string text);

/// The file's bytes, as they are. Errors: io, limit.
Result<std::string> read_text(const ReadOptions& options);

}  // namespace lapwing::csv
