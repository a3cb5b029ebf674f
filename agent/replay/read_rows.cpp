// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/read_rows.hpp"

#include "agent/decode/csv_split.hpp"
#include "agent/replay/columns.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>

namespace lapwing::agent {
namespace {

constexpr Time kMadeUpStart = from_micros(946'684'800'000'000);  // 2000-01-01

Result<std::string> read_all(const ReadOptions& options) {
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
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

/// The columns of a text, looked up in its first two rows.
Result<std::optional<Columns>> columns_of(std::string_view text, const ReadOptions& options) {
  CsvSplitter rows(text, options.delimiter);
  if (!rows.next()) return std::optional<Columns>();
  const std::vector<std::string_view> first = rows.fields();
  CsvSplitter again(text, options.delimiter);
  (void)again.next();
  const bool two = again.next();
  auto found = find_columns(first, two ? again.fields() : std::vector<std::string_view>(), options);
  if (!found) return found.error();
  return std::optional(*found);
}

/// What is wrong with the row; empty when it could be read.
std::string read_row(std::span<const std::string_view> fields, const Columns& columns, Row& row) {
  if (columns.time && *columns.time < fields.size()) {
    row.timestamp = std::string(trimmed(fields[*columns.time]));
  }
  if (fields.size() < columns.needed()) return "too few fields";
  std::string_view value = trimmed(fields[columns.value]);
  const auto number = parse_number(value);
  if (number) row.value = std::string(value);
  if (columns.label) {
    row.anomalous = parse_number(fields[*columns.label]).value_or(0) > 0;
  }
  if (columns.time) {
    const auto time = parse_csv_time(row.timestamp);
    if (!time) return time.error().context;
    row.time = *time;
  }
  // Nothing between the commas is a hole in the data, which the checks report as such.
  if (!number && !value.empty()) {
    return "\"" + std::string(value.substr(0, 40)) + "\" is not a number";
  }
  row.number = number.value_or(std::numeric_limits<double>::quiet_NaN());
  row.readable = true;
  return {};
}

}  // namespace

Result<Rows> read_rows(const ReadOptions& options) {
  if (options.value_columns.size() != 1) {
    return Error{Errc::bad_config, "replay takes one value column, not " +
                                       std::to_string(options.value_columns.size()) +
                                       ": name the one to be scored"};
  }
  const auto text = read_all(options);
  if (!text) return text.error();
  const auto columns = columns_of(*text, options);
  if (!columns) return columns.error();
  Rows out;
  CsvSplitter rows(*text, options.delimiter);
  const auto bad = [&](std::string what) {
    ++out.bad_total;
    if (out.bad.size() < Rows::kBadRowsKept) out.bad.push_back({rows.line(), std::move(what)});
  };
  bool any = false;
  if (*columns) {
    const Columns& c = **columns;
    out.times_made_up = !c.time;
    if (c.header && rows.next()) out.value_name = std::string(trimmed(rows.fields()[c.value]));
    while (rows.next()) {
      Row row;
      if (!c.time) {
        row.time = kMadeUpStart + options.interval * static_cast<std::int64_t>(out.rows.size());
        row.timestamp = to_rfc3339(row.time);
      }
      std::string problem = read_row(rows.fields(), c, row);
      any = any || row.readable;
      if (!problem.empty()) bad(std::move(problem));
      out.rows.push_back(std::move(row));
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

Result<Time> parse_csv_time(std::string_view text) {
  text = trimmed(text);
  const auto refuse = [&] {
    return Error{Errc::bad_input, "\"" + std::string(text.substr(0, 40)) + "\" is not a time"};
  };
  if (const auto number = parse_number(text)) {
    const double size = std::abs(*number);
    if (!(size < 9e18)) return refuse();
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    const bool integer = error == std::errc{} && end == text.data() + text.size();
    if (size < 1e11) return from_micros(std::llround(*number * 1e6));  // seconds
    if (size < 1e14) return from_micros(std::llround(*number * 1e3));
    if (size < 1e17) return from_micros(integer ? whole : std::llround(*number));
    return from_micros(integer ? whole / 1000 : std::llround(*number / 1e3));
  }
  if (text.size() > 64 || text.size() < 10) return refuse();
  auto time = from_rfc3339(text);
  if (!time) time = from_rfc3339(std::string(text) + "Z");  // without an offset: UTC
  if (!time && text.size() == 10) time = from_rfc3339(std::string(text) + "T00:00:00Z");
  if (!time && text.size() == 16) time = from_rfc3339(std::string(text) + ":00Z");
  if (!time) return refuse();
  return *time;
}

}  // namespace lapwing::agent
