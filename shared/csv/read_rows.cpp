// SPDX-License-Identifier: Apache-2.0
#include "shared/csv/read_rows.hpp"

#include "shared/csv/columns.hpp"
#include "shared/csv/fields.hpp"
#include "shared/csv/split.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <optional>

namespace lapwing::csv {
namespace {

constexpr Time kMadeUpStart = from_micros(946'684'800'000'000);  // 2000-01-01
constexpr std::size_t kSearchedRows = 1000;                      // for a column's first field

/// The columns of a text, looked up in its first rows; none when it is empty.
Result<std::optional<Columns>> columns_of(std::string_view text, const ReadOptions& options) {
  Splitter first(text, options.delimiter);
  if (!first.next()) return std::optional<Columns>();
  std::vector<std::string> below(first.fields().size());
  Splitter rows(text, options.delimiter);
  (void)rows.next();
  std::size_t empty = below.size();
  for (std::size_t row = 0; row < kSearchedRows && empty > 0 && rows.next(); ++row) {
    for (std::size_t i = 0; i < std::min(below.size(), rows.fields().size()); ++i) {
      const std::string_view field = trimmed(rows.fields()[i]);
      if (!below[i].empty() || field.empty()) continue;
      below[i] = std::string(field);
      --empty;
    }
  }
  auto found = find_columns(first.fields(), below, options);
  if (!found) return found.error();
  return std::optional(std::move(*found));
}

}  // namespace

struct Rows::Text {
  std::string file;
  std::deque<std::string> unescaped;  ///< fields with doubled quotes
};

namespace {

/// Reads one row after another.
class Reader {
 public:
  Reader(const Columns& columns, const ReadOptions& options, Rows& out, Rows::Text& text)
      : columns_(columns),
        interval_(options.interval),
        keep_written_(options.keep_written),
        fields_min_(columns.needed()),
        out_(out),
        text_(text) {}

  /// Adds the row; what is wrong with it, empty when nothing is.
  std::string add(std::span<const std::string_view> fields) {
    Row row;
    if (!columns_.time) {
      row.time = kMadeUpStart + interval_ * static_cast<std::int64_t>(out_.rows.size());
    } else if (*columns_.time < fields.size()) {
      row.timestamp = keep(trimmed(fields[*columns_.time]));
    }
    const std::size_t first = out_.numbers.size();
    const std::size_t width = columns_.values.size();
    out_.numbers.resize(first + width, std::numeric_limits<double>::quiet_NaN());
    if (keep_written_) out_.written.resize(first + width);
    std::string problem = read(fields, row, first);
    out_.rows.push_back(row);
    return problem;
  }

 private:
  std::string read(std::span<const std::string_view> fields, Row& row, std::size_t first) {
    if (fields.size() < fields_min_) return "too few fields";
    std::string problem;
    const std::size_t width = columns_.values.size();
    std::size_t wrong = 0;
    for (std::size_t c = 0; c < width; ++c) {
      const std::string_view field = trimmed(fields[columns_.values[c]]);
      if (const auto number = parse_number(field)) {
        out_.numbers[first + c] = *number;
        if (keep_written_) out_.written[first + c] = field;
      } else if (!field.empty() && ++wrong == 1) {
        // Nothing between the commas is a hole in the data, which the checks report as such.
        if (width > 1) problem = columns_.names[c] + ": ";
        problem += "\"" + std::string(field.substr(0, 40)) + "\" is not a number";
      }
    }
    if (columns_.label) row.anomalous = parse_number(fields[*columns_.label]).value_or(0) > 0;
    if (columns_.time) {
      const auto time = parse_time(row.timestamp);
      if (!time) return time.error().context;
      row.time = *time;
    }
    row.readable = wrong < width;
    return problem;
  }

  /// The field, in memory that stays.
  std::string_view keep(std::string_view field) {
    const char* const begin = text_.file.data();
    const std::less<> before;
    const bool stays =
        !before(field.data(), begin) && before(field.data(), begin + text_.file.size());
    return stays || field.empty() ? field : text_.unescaped.emplace_back(field);
  }

  const Columns& columns_;
  Micros interval_;
  bool keep_written_;
  std::size_t fields_min_;
  Rows& out_;
  Rows::Text& text_;
};

}  // namespace

Result<std::string> read_text(const ReadOptions& options) {
  const bool from_stdin = options.file == "-";
  std::ifstream file;
  if (!from_stdin) {
    std::error_code failed;
    if (std::filesystem::is_directory(options.file, failed)) {
      return Error{Errc::io, options.file.string() + " is a directory: name a CSV file"};
    }
    file.open(options.file, std::ios::binary);
    if (!file)
      return Error{Errc::io,
                   "cannot open " + options.file.string() + ": check its name and rights"};
  }
  std::istream& in = from_stdin ? std::cin : file;
  std::string text;
  std::array<char, 1 << 16> block;
  while (in.read(block.data(), block.size()), in.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > options.file_bytes_max) {
      return Error{Errc::limit, options.file.string() + " is larger than " +
                                    std::to_string(options.file_bytes_max >> 20) +
                                    " MiB: split it into parts"};
    }
  }
  if (in.bad()) return Error{Errc::io, "reading " + options.file.string() + " failed"};
  return text;
}

Result<Rows> read_rows(const ReadOptions& options) {
  auto text = read_text(options);
  if (!text) return text.error();
  return read_rows(options, *std::move(text));
}

Result<Rows> read_rows(const ReadOptions& options, std::string given) {
  const auto text = std::make_shared<Rows::Text>();
  text->file = std::move(given);
  if (text->file.starts_with("\xEF\xBB\xBF")) text->file.erase(0, 3);
  const auto columns = columns_of(text->file, options);
  if (!columns) return columns.error();
  Rows out;
  out.text = text;
  Splitter rows(text->file, options.delimiter);
  const auto bad = [&](std::string what) {
    ++out.bad_total;
    if (out.bad.size() < Rows::kBadRowsKept) out.bad.push_back({rows.line(), std::move(what)});
  };
  bool any = false;
  if (*columns) {
    const Columns& c = **columns;
    out.times_made_up = !c.time;
    out.names = c.names;
    if (c.header) (void)rows.next();
    Reader reader(c, options, out, *text);
    while (rows.next()) {
      std::string problem = reader.add(rows.fields());
      any = any || out.rows.back().readable;
      if (!problem.empty()) bad(std::move(problem));
    }
    if (rows.malformed()) bad("a quote is not closed, or a row has too many fields");
  }
  if (!any) {
    std::string why = options.file.string() + " has no row that can be read";
    if (!out.bad.empty()) {
      why += "; line " + std::to_string(out.bad[0].line) + ": " + out.bad[0].what;
    }
    return Error{Errc::bad_input, why};
  }
  return out;
}

}  // namespace lapwing::csv
