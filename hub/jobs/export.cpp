// SPDX-License-Identifier: Apache-2.0
#include "hub/jobs/export.hpp"

#include "hub/jobs/csv.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <optional>

namespace lapwing::hub {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 3> kSeverities{"minor", "major", "critical"};
constexpr std::array<std::string_view, 7> kReasons{"unusual", "out_of_range", "stuck", "gap",
                                                   "rate",    "not_a_number", "clock"};

struct Wanted {
  bool history = false;
  std::optional<std::string> device;
  std::optional<std::string> stream;
  std::optional<Time> from;
  std::optional<Time> to;
};

Error wrong(std::string_view key, std::string_view what) {
  return {Errc::bad_input, "\"" + std::string(key.substr(0, 64)) + "\": " + std::string(what)};
}

Result<void> read_one(const std::string& key, const std::string& value, Wanted& to) {
  if (key == "what") {
    if (value != "anomalies" && value != "history") {
      return wrong(key, "anomalies or history is wanted");
    }
    to.history = value == "history";
  } else if (key == "device") {
    to.device = value;
  } else if (key == "stream") {
    to.stream = value;
  } else if (key == "from" || key == "to") {
    const auto time = from_rfc3339(value);
    if (!time) return wrong(key, "an RFC 3339 time is wanted, as 2026-11-24T08:00:00Z");
    (key == "from" ? to.from : to.to) = *time;
  } else {
    return wrong(key, "unknown; what, device, stream, from and to are known");
  }
  return {};
}

Result<Wanted> read_wanted(std::string_view arguments) {
  Wanted wanted;
  const auto json = Json::parse(arguments.empty() ? "{}" : arguments, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_input, "the arguments are no JSON object"};
  if (!json.contains("what")) return wrong("what", "anomalies or history is wanted");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return wrong(key, "a text is wanted");
    if (auto read = read_one(key, value.get<std::string>(), wanted); !read) return read.error();
  }
  if (wanted.history && !wanted.device) return wrong("device", "is required for a history");
  return wanted;
}

/// Rows so far, and how fast they come.
class Pace {
 public:
  Result<void> add(JobRun& run, std::size_t rows) {
    rows_ += rows;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%llu rows, %.0f rows/s",
                  static_cast<unsigned long long>(rows_),
                  static_cast<double>(rows_) / std::max(took.count(), 1e-3));
    return run.progress(rows_, 0, text.data());
  }

 private:
  std::uint64_t rows_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string anomaly_line(const AnomalyRow& row) {
  const auto& r = row.record;
  std::array<char, 20> id{};
  std::snprintf(id.data(), id.size(), "%016llx", static_cast<unsigned long long>(r.id));
  const auto word = [](const auto& words, std::size_t value) {
    return value >= 1 && value <= words.size() ? words[value - 1] : std::string_view();
  };
  CsvLine line;
  line.text(row.device).text(id.data()).text(r.phase == wire::Phase::closed ? "closed" : "open");
  line.text(word(kSeverities, static_cast<std::size_t>(r.severity)));
  line.text(word(kReasons, static_cast<std::size_t>(r.reason)));
  line.text(r.stream).text(r.watch).text(r.detector);
  line.time(r.onset).time(r.peak_time).time(r.end);
  line.number(r.peak_score).number(r.peak_value);
  line.number(r.band.expected).number(r.band.lower).number(r.band.upper).text(r.text);
  return line.end();
}

Result<void> export_anomalies(JobRun& run, const Wanted& wanted) {
  auto written = run.write(
      "device,id,state,severity,reason,stream,watch,detector,onset,peak,end,peak_score,peak_value,"
      "expected,lower,upper,text\r\n");
  if (!written) return written;
  const AnomalyFilter filter{
      .device = wanted.device, .stream = wanted.stream, .from = wanted.from, .to = wanted.to};
  Pace pace;
  for (PageRequest page{.limit = 1000};;) {
    const auto rows = run.store().anomalies(run.job().tenant, filter, page);
    if (!rows) return rows.error();
    std::string text;
    for (const auto& row : rows->items) text += anomaly_line(row);
    if (auto done = run.write(text); !done) return done;
    if (auto done = pace.add(run, rows->items.size()); !done) return done;
    if (!rows->next_cursor) return run.flush();
    page.cursor = *rows->next_cursor;
  }
}

std::string point_line(const StreamRow& stream, const HistoryPoint& p) {
  CsvLine line;
  line.text(stream.stream).text(stream.watch).time(p.begin).time(p.end).count(p.readings);
  for (const double value : {p.value_min, p.value_mean, p.value_max, p.score_mean, p.score_max,
                             p.band.expected, p.band.lower, p.band.upper}) {
    line.number(value);
  }
  return line.end();
}

Result<void> export_stream(JobRun& run, const Wanted& wanted, const StreamRow& stream, Pace& pace) {
  constexpr std::size_t kPoints = 2'000;
  const DeviceKey key{run.job().tenant, *wanted.device};
  HistoryQuery query{.stream = stream.stream,
                     .watch = stream.watch,
                     .from = wanted.from.value_or(from_micros(0)),
                     .to = wanted.to,
                     .limit = kPoints};
  for (;;) {
    const auto history = run.store().history(key, query);
    if (!history) return history.error();
    std::string text;
    for (const auto& point : history->points) text += point_line(stream, point);
    if (auto done = run.write(text); !done) return done;
    if (auto done = pace.add(run, history->points.size()); !done) return done;
    if (history->points.size() < kPoints) return {};
    query.from = history->points.back().begin + Micros(1);
  }
}

Result<void> export_history(JobRun& run, const Wanted& wanted) {
  auto written = run.write(
      "stream,watch,begin,end,readings,value_min,value_mean,value_max,score_mean,score_max,"
      "expected,"
      "lower,upper\r\n");
  if (!written) return written;
  const DeviceKey key{run.job().tenant, *wanted.device};
  Pace pace;
  for (PageRequest page{.limit = 1000};;) {
    const auto streams = run.store().streams(key, page);
    if (!streams) return streams.error();
    for (const auto& stream : streams->items) {
      if (wanted.stream && stream.stream != *wanted.stream) continue;
      if (auto done = export_stream(run, wanted, stream, pace); !done) return done;
    }
    if (!streams->next_cursor) return run.flush();
    page.cursor = *streams->next_cursor;
  }
}

}  // namespace

Result<void> check_export(std::string_view arguments) {
  if (auto wanted = read_wanted(arguments); !wanted) return wanted.error();
  return {};
}

Result<void> run_export(JobRun& run) {
  const auto wanted = read_wanted(run.job().arguments);
  if (!wanted) return wanted.error();
  return wanted->history ? export_history(run, *wanted) : export_anomalies(run, *wanted);
}

}  // namespace lapwing::hub
