// SPDX-License-Identifier: Apache-2.0
/// Splits CSV text (RFC 4180: quotes, doubled quotes, CR LF or LF) into rows of fields.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::csv {

/// Splits one text row by row without copying, except fields with doubled quotes.
///
///     Splitter rows(text, ',');
///     while (rows.next()) use(rows.fields());
///
/// Ownership: borrows the text; fields() are valid until the next next() or reset().
/// Errors: a quote that is never closed takes the rest of the text: malformed() is true then.
/// Bound: a row has at most kFieldsMax fields; what follows is left out and malformed() is true.
/// Threads: distinct objects are safe. Cost: no allocation once warm, O(bytes).
class Splitter {
 public:
  explicit Splitter(std::string_view text = {}, char delimiter = ',');
  void reset(std::string_view text);

  /// Goes to the next row that is not blank; false at the end.
  [[nodiscard]] bool next();
  [[nodiscard]] const std::vector<std::string_view>& fields() const { return fields_; }
  /// The row as it stands in the text, without its line end.
  [[nodiscard]] std::string_view text() const { return row_; }
  /// The row's number, from 1, blank ones counted: for messages.
  [[nodiscard]] std::size_t line() const { return line_; }
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  std::string_view take_quoted();
  bool read_row();

  std::string_view rest_;
  std::string_view row_;
  char delimiter_;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unescaped_;
  std::size_t unescaped_used_ = 0;
  std::size_t line_ = 0;
  std::size_t lines_in_row_ = 1;
  bool malformed_ = false;
};

inline constexpr std::size_t kFieldsMax = 4096;

}  // namespace lapwing::csv
