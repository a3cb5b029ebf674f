// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/decoder.hpp"
#include "agent/decode/json_path.hpp"
#include "shared/base/config.hpp"

namespace lapwing::agent {
namespace {

void check_json_path(config::Section& section, std::string_view key, const std::string& path) {
  if (path.empty()) return;
  const auto parsed = parse_json_path(path);
  if (!parsed) section.problem(key, parsed.error().context);
}

Format read_format(config::Section& section, Format fallback) {
  std::vector<std::string_view> names;
  std::string_view fallback_name;
  for (const FormatKind& kind : kFormats) {
    names.push_back(kind.name);
    if (kind.format == fallback) fallback_name = kind.name;
  }
  const std::string chosen = section.choice({"format",
                                             "What the payloads are: one number, JSON, InfluxDB "
                                             "line protocol or CSV; auto tells JSON and "
                                             "numbers apart"},
                                            fallback_name, names);
  for (const FormatKind& kind : kFormats) {
    if (kind.name == chosen) return kind.format;
  }
  return fallback;
}

TimeUnit read_unit(config::Section& section, TimeUnit fallback) {
  constexpr std::array<std::string_view, 6> kNames{"auto", "s", "ms", "us", "ns", "rfc3339"};
  const std::string chosen = section.choice(
      {"time_unit", "Unit of the payload's time; auto tells it by the number's size"},
      kNames[static_cast<std::size_t>(fallback)], kNames);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == chosen) return static_cast<TimeUnit>(i);
  }
  return fallback;
}

void read_json(config::Section section, JsonConfig& json) {
  json.fields = section.texts(
      {"fields",
       "Paths of the numbers wanted (`a.b`, `values.0`, `values[*].x`); none: every number"},
      json.fields);
  for (const std::string& field : json.fields) check_json_path(section, "fields", field);
  json.rows = section.text(
      {"rows", "Path of an array whose elements are rows of their own; `.` is the document"},
      json.rows);
  check_json_path(section, "rows", json.rows);
  json.depth_max = static_cast<std::size_t>(
      section.integer({"depth_max", "Deepest nesting that is read", "levels"},
                      static_cast<std::int64_t>(json.depth_max), 1, 64));
}

void read_csv(config::Section section, CsvConfig& csv) {
  const std::string delimiter = section.text({"delimiter", "What separates columns, one character"},
                                             std::string_view(&csv.delimiter, 1));
  if (delimiter.size() == 1 && delimiter != "\"" && delimiter != "\n") {
    csv.delimiter = delimiter.front();
  } else {
    section.problem("delimiter",
                    "one character that is no quote or newline, such as \",\" or \";\"");
  }
  csv.header = section.flag({"header", "The first row holds the columns' names"}, csv.header);
  csv.names = section.texts({"names", "The columns' names where there is no header"}, csv.names);
  csv.columns = section.texts(
      {"columns", "Columns wanted, by name or number from 0; none: all that hold numbers"},
      csv.columns);
}

}  // namespace

DecodeConfig DecodeConfig::read(config::Section& section, const DecodeConfig& base) {
  DecodeConfig decode = base;
  decode.format = read_format(section, base.format);
  const std::string text =
      section.text({"template",
                    "What the topic's levels are, as in `_/site/device/measurement`: `_` leaves a "
                    "level out of the "
                    "stream's name, a word makes it a tag, `+` only keeps it, `#` keeps the rest"},
                   "");
  if (section.has("template")) {
    auto parsed = TopicTemplate::parse(text);
    if (parsed) {
      decode.topic_template = std::move(parsed).value();
    } else {
      section.problem("template", parsed.error().context);
    }
  }
  decode.receive_time =
      section.choice(
          {"time", "Whose time counts: the payload's (where it has one) or that of arrival"},
          base.receive_time ? "receive" : "payload", {"payload", "receive"}) == "receive";
  decode.time_path =
      section.text({"time_path", "JSON path or CSV column of the time; none: the time of arrival"},
                   base.time_path);
  decode.time_unit = read_unit(section, base.time_unit);
  decode.payload_bytes_max = static_cast<std::size_t>(
      section.bytes({"payload_bytes_max", "Larger payloads are quarantined"},
                    base.payload_bytes_max, 1, std::uint64_t{1} << 26U));
  decode.fields_max = static_cast<std::size_t>(
      section.integer({"fields_max", "Payloads with more numbers are quarantined", "numbers"},
                      static_cast<std::int64_t>(base.fields_max), 1, 1000000));
  if (decode.format == Format::json || decode.format == Format::automatic) {
    check_json_path(section, "time_path", decode.time_path);
  }
  if (decode.format == Format::number && !decode.time_path.empty()) {
    section.problem("time_path", "a bare number carries no time: leave time_path out");
  }
  read_json(section.table({"json", "For format json"}), decode.json);
  config::Section line = section.table({"line", "For format line"});
  const auto tags =
      line.texts({"tags", "Tags that become part of the stream's name; absent: all"}, {});
  if (line.has("tags")) {
    decode.line.name_tags = tags;
    decode.line.all_name_tags = false;
  }
  read_csv(section.table({"csv", "For format csv"}), decode.csv);
  return decode;
}

}  // namespace lapwing::agent
