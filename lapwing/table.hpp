// SPDX-License-Identifier: Apache-2.0
/// Plain text tables that fit the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::cli {

struct Column {
  std::string title;
  bool right = false;         ///< numbers
  std::size_t width_min = 6;  ///< the column may be cut to this; 0: never cut
};

/// `text` without what could drive a terminal (control characters become '?').
[[nodiscard]] std::string printable(std::string_view text);
/// Columns a terminal needs for it; one for each code point.
[[nodiscard]] std::size_t text_width(std::string_view text);
/// At most `width` wide; a cut shows as an ellipsis.
[[nodiscard]] std::string fit(std::string_view text, std::size_t width);

/// Rows under titles. Cells are made printable.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);
  /// At most `width` wide where cutting allows it: the widest columns give first. 0: uncut.
  [[nodiscard]] std::string text(std::size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Columns of the terminal behind stdout; 0 when it is none.
[[nodiscard]] std::size_t terminal_width();

}  // namespace lapwing::cli
