// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/replay.hpp"

#include "agent/decode/csv_split.hpp"
#include "agent/replay/plot.hpp"
#include "shared/detect/pipeline.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>

namespace lapwing::agent {
namespace {

using detect::Event;
using detect::Sample;

constexpr Time kMadeUpStart = from_micros(946'684'800'000'000);  // 2000-01-01

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return value;
}

Result<std::string> read_all(const ReplayOptions& options) {
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

/// Where time and value are in a row.
struct Columns {
  std::optional<std::size_t> time;  ///< none: times are made up
  std::size_t value = 0;
  bool header = false;
};

std::optional<std::size_t> position_of(std::string_view column) {
  std::size_t position = 0;
  const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), position);
  if (error != std::errc{} || end != column.data() + column.size() || position == 0)
    return std::nullopt;
  return position - 1;
}

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (const auto name : names) {
    if (out.size() > 200) return out + ", ...";
    out += (out.empty() ? "" : ", ") + std::string(trimmed(name));
  }
  return out;
}

/// A first row in which nothing is a number is a header.
Result<Columns> find_columns(std::span<const std::string_view> first_row,
                             const ReplayOptions& options) {
  Columns columns;
  columns.header = std::ranges::none_of(
      first_row, [](std::string_view field) { return parse_number(field).has_value(); });
  const auto named = [&](std::string_view name) -> std::optional<std::size_t> {
    for (std::size_t i = 0; columns.header && i < first_row.size(); ++i) {
      if (trimmed(first_row[i]) == name) return i;
    }
    const auto position = position_of(name);
    return position && *position < first_row.size() ? position : std::nullopt;
  };
  const bool times_by_default = options.timestamp_column == ReplayOptions{}.timestamp_column;
  const bool values_by_default = options.value_column == ReplayOptions{}.value_column;
  columns.time = named(options.timestamp_column);
  auto value = named(options.value_column);
  if (!value && values_by_default) {
    if (!columns.header || first_row.size() <= 2) value = first_row.size() == 1 ? 0 : 1;
  }
  if (!columns.header && !columns.time && times_by_default && first_row.size() > 1)
    columns.time = 0;
  if (columns.header && !columns.time && times_by_default && first_row.size() == 2 && value == 1) {
    columns.time = 0;
  }
  const auto missing = [&](std::string_view what) {
    return Error{Errc::bad_input, options.file.string() + " has no column \"" + std::string(what) +
                                      "\": it has " + joined(first_row)};
  };
  if (!value) return missing(options.value_column);
  if (!columns.time && !times_by_default) return missing(options.timestamp_column);
  columns.value = *value;
  return columns;
}

/// The readings of a text; bad rows are counted in the report.
Result<std::vector<Sample>> read_samples(std::string_view text, const ReplayOptions& options,
                                         ReplayReport& report) {
  std::vector<Sample> samples;
  CsvSplitter rows(text, options.delimiter);
  std::optional<Columns> columns;
  const auto bad = [&](std::string what) {
    ++report.rows_bad;
    if (report.bad.size() < ReplayReport::kBadRowsKept) {
      report.bad.push_back({rows.line(), std::move(what)});
    }
  };
  while (rows.next()) {
    const std::span<const std::string_view> fields = rows.fields();
    if (!columns) {
      auto found = find_columns(fields, options);
      if (!found) return found.error();
      columns = *found;
      report.times_made_up = !columns->time;
      if (columns->header) continue;
    }
    ++report.rows;
    if (fields.size() <= std::max(columns->value, columns->time.value_or(0))) {
      bad("too few fields");
      continue;
    }
    Sample sample{kMadeUpStart + std::chrono::seconds(report.rows), 0};
    if (columns->time) {
      const auto time = parse_csv_time(fields[*columns->time]);
      if (!time) {
        bad(time.error().context);
        continue;
      }
      sample.time = *time;
    }
    const std::string_view value = trimmed(fields[columns->value]);
    if (const auto number = parse_number(value)) {
      sample.value = *number;
    } else if (value.empty()) {  // a hole in the data, which the checks report as such
      sample.value = std::numeric_limits<double>::quiet_NaN();
    } else {
      bad("\"" + std::string(value.substr(0, 40)) + "\" is not a number");
      continue;
    }
    samples.push_back(sample);
  }
  if (rows.malformed()) bad("a quote is not closed, or a row has too many fields");
  if (samples.empty()) {
    std::string why = options.file.string() + " has no row that can be read";
    if (!report.bad.empty()) {
      why += "; line " + std::to_string(report.bad[0].line) + ": " + report.bad[0].what;
    }
    return Error{Errc::bad_input, why};
  }
  return samples;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out)
    return Error{Errc::io, "cannot write " + path.string() + ": check the folder and the disk"};
  return {};
}

}  // namespace

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

Result<ReplayReport> replay(const ReplayOptions& options) {
  const Ticks started = ticks_now();
  auto text = read_all(options);
  if (!text) return text.error();
  ReplayReport report;
  auto samples = read_samples(*text, options, report);
  if (!samples) return samples.error();
  report.readings = samples->size();
  const auto by_time = [](const Sample& a, const Sample& b) { return a.time < b.time; };
  const auto [first, last] = std::ranges::minmax_element(*samples, by_time);
  report.first = first->time;
  report.last = last->time;

  auto pipeline = detect::Pipeline::make(options.watch, 1);
  if (!pipeline) return pipeline.error();
  std::optional<Plot> plot;
  if (!options.plot.empty()) plot.emplace(report.first, report.last);
  std::vector<Event> events;
  std::map<std::uint64_t, Event> anomalies;
  const auto collect = [&] {
    for (const Event& event : events) anomalies.insert_or_assign(event.id, event);
    events.clear();
  };
  Time now = samples->front().time;  // as if each arrived at its own time; never backwards
  for (const Sample& sample : *samples) {
    now = std::max(now, sample.time);
    detect::Verdict verdict;
    (*pipeline)->push({&sample, 1}, now, events, {&verdict, 1});
    if (plot) plot->add(sample, verdict);
    collect();
  }
  (*pipeline)->finish(events);
  collect();
  for (const auto& [id, event] : anomalies) report.anomalies.push_back(event);
  std::ranges::stable_sort(report.anomalies, {}, &Event::onset);
  const auto state = (*pipeline)->state();
  report.dropped = state.dropped_total;
  report.warm = state.warm;
  if (plot) {
    const std::string title =
        options.file == "-" ? "standard input" : options.file.filename().string();
    if (auto done = write_file(options.plot, plot->svg(title, report.anomalies)); !done) {
      return done.error();
    }
  }
  report.seconds = std::chrono::duration<double>(ticks_now() - started).count();
  return report;
}

namespace {

std::string number(double value) {
  if (std::isnan(value)) return "-";
  std::array<char, 40> out{};
  std::snprintf(out.data(), out.size(), "%.4g", value);
  return out.data();
}

/// To the second where that is all there is.
std::string short_time(Time time) {
  std::string text = to_rfc3339(time);
  const auto dot = text.find('.');
  if (dot == std::string::npos) return text;
  const bool whole = text.compare(dot, 7, ".000000") == 0;
  return text.substr(0, whole ? dot : dot + 4) + "Z";
}

std::string_view word(wire::Severity severity) {
  constexpr std::array<std::string_view, 4> kWords = {"-", "minor", "major", "critical"};
  return kWords[static_cast<std::size_t>(severity)];
}

std::string_view word(wire::Reason reason) {
  constexpr std::array<std::string_view, 8> kWords = {"-",   "unusual", "out of range", "stuck",
                                                      "gap", "rate",    "not a number", "clock"};
  return kWords[static_cast<std::size_t>(reason)];
}

using TableRow = std::array<std::string, 8>;

TableRow row_of(std::size_t place, const Event& event) {
  std::string expected = "-";
  if (std::isfinite(event.band.lower)) {
    expected = number(event.band.lower) + " .. " + number(event.band.upper);
  }
  return {std::to_string(place),           short_time(event.onset),
          short_time(event.end),           std::string(word(event.severity)),
          number(event.peak_score),        expected,
          std::string(word(event.reason)), detect::describe(event)};
}

}  // namespace

std::string to_text(const ReplayReport& report) {
  std::string out;
  std::vector<TableRow> rows = {
      {"#", "onset", "end", "severity", "score", "expected", "reason", "what"}};
  for (const Event& event : report.anomalies) rows.push_back(row_of(rows.size(), event));
  std::array<std::size_t, 8> widths{};
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const TableRow& row : rows) {
    if (rows.size() == 1) break;
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  if (rows.size() > 1) out += '\n';
  const double weeks = std::chrono::duration<double>(report.last - report.first).count() / 604'800;
  out += std::to_string(report.readings) + " readings from " + short_time(report.first) + " to " +
         short_time(report.last) + ", " + std::to_string(report.anomalies.size()) + " anomalies";
  if (weeks > 0.1)
    out += " (" + number(static_cast<double>(report.anomalies.size()) / weeks) + " a week)";
  out += ", in " + number(report.seconds) + " s\n";
  if (report.times_made_up) out += "no timestamp column: one reading a second was assumed\n";
  if (!report.warm) out += "the warm-up was not completed: nothing was scored; lower `warmup`\n";
  if (report.dropped > 0) {
    out +=
        std::to_string(report.dropped) + " readings were repeated or out of order, and left out\n";
  }
  if (report.rows_bad > 0) {
    out += std::to_string(report.rows_bad) + " rows could not be read:\n";
    for (const BadRow& bad : report.bad) {
      out += "  line " + std::to_string(bad.line) + ": " + bad.what + "\n";
    }
    if (report.rows_bad > report.bad.size()) out += "  ...\n";
  }
  return out;
}

}  // namespace lapwing::agent
