// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/replay.hpp"

#include "agent/replay/group_picture.hpp"
#include "agent/replay/judge.hpp"
#include "agent/replay/plot.hpp"
#include "agent/replay/row_pipeline.hpp"
#include "agent/replay/scores_file.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace lapwing::agent {
namespace {

using detect::GroupEvent;

constexpr std::size_t kProgressEvery = 1 << 16;  // rows

/// Each anomaly as it was last heard of.
class Anomalies {
 public:
  /// Events of one row; returns whether one is new.
  bool take(std::vector<GroupEvent>& events, Time row) {
    bool found = false;
    for (const GroupEvent& event : events) {
      const auto [known, fresh] = by_id_.try_emplace(event.event.id, Known{event, row});
      known->second.event = event;
      found = found || fresh;
    }
    events.clear();
    return found;
  }
  void report_to(ReplayReport& report, const detect::WatchConfig& watch) const {
    for (const auto& [id, known] : by_id_)
      report.anomalies.push_back(anomaly(known, report, watch));
    std::ranges::stable_sort(report.anomalies, {}, [](const Anomaly& one) {
      return std::pair(one.event.onset, one.sensor);  // of all of them together first
    });
  }

 private:
  struct Known {
    GroupEvent event;
    Time found{};
  };
  static Anomaly anomaly(const Known& known, const ReplayReport& report,
                         const detect::WatchConfig& watch) {
    const GroupEvent& of = known.event;
    Anomaly out{.event = of.event, .found = known.found};
    if (report.sensors.empty()) {
      out.text = detect::describe(of.event);
      return out;
    }
    out.text = detect::to_record(of, {.watch = watch}, watch.name, report.sensors, {}).text;
    if (of.sensor != GroupEvent::kGroup) {
      out.sensor = static_cast<std::size_t>(of.sensor);
    } else {
      out.parts.assign(of.parts.begin(),
                       of.parts.begin() + static_cast<std::ptrdiff_t>(of.parts_count));
    }
    return out;
  }

  std::map<std::uint64_t, Known> by_id_;
};

void describe_rows(const Rows& rows, const ReplayOptions& options, ReplayReport& report) {
  report.rows = rows.rows.size();
  report.rows_bad = rows.bad_total;
  report.bad = rows.bad;
  report.times_made_up = rows.times_made_up;
  if (rows.width() > 1) report.sensors = rows.names;
  report.labelled = options.labelled;
  if (!report.labelled && !options.label_column.empty()) report.labelled = windows_of(rows);
  for (const Row& row : rows.rows) {
    if (!row.readable) continue;
    if (report.readings++ == 0) report.first = report.last = row.time;
    report.first = std::min(report.first, row.time);
    report.last = std::max(report.last, row.time);
  }
}

Result<void> draw(const Plot* plot, const Rows& rows, const RowScores& scores,
                  const ReplayOptions& options, const ReplayReport& report) {
  const std::string title =
      options.file == "-" ? "standard input" : options.file.filename().string();
  if (plot == nullptr) {
    return write_text(options.plot, group_picture(title, rows, scores.rows, report));
  }
  const auto labelled = report.labelled.value_or(std::vector<Window>());
  std::vector<detect::Event> anomalies;
  for (const Anomaly& anomaly : report.anomalies) anomalies.push_back(anomaly.event);
  return write_text(options.plot, plot->svg(title, anomalies, labelled));
}

}  // namespace

Result<RowScores> score_rows(const Rows& rows, const ReplayOptions& options, ReplayReport& report) {
  const std::size_t width = rows.width();
  auto made = options.model ? RowPipeline::make(options.watch, width, *options.model)
                            : RowPipeline::make(options.watch, width);
  if (!made) return made.error();
  RowPipeline& pipeline = **made;
  describe_rows(rows, options, report);
  std::optional<Plot> plot;
  if (!options.plot.empty() && width == 1) plot.emplace(report.first, report.last);
  RowScores scores;
  scores.rows.resize(rows.rows.size());
  if (width > 1) scores.contributions.resize(rows.numbers.size());
  std::vector<GroupEvent> events;
  Anomalies anomalies;
  std::uint64_t dropped = 0;
  Time now = report.first;  // as if each arrived at its own time; never backwards
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (options.progress && i % kProgressEvery == 0) options.progress(i, rows.rows.size());
    const Row& row = rows.rows[i];
    if (!row.readable) continue;
    now = std::max(now, row.time);
    const auto numbers = rows.numbers_of(i);
    const detect::Verdict verdict = pipeline.push(row.time, numbers, now, events);
    if (plot) plot->add({row.time, numbers.front()}, verdict);
    if (verdict.scored) {
      if (!report.warm) report.scored_from = now;
      report.warm = true;
      if (width > 1) {
        std::ranges::copy(pipeline.contributions(), &scores.contributions[i * width]);
      }
    }
    const std::uint64_t dropped_now = pipeline.dropped_total();
    scores.rows[i] = {.score = dropped_now == dropped ? verdict.score : 0,
                      .onset_strength = anomalies.take(events, now) ? verdict.alarm : 0};
    dropped = dropped_now;
  }
  pipeline.finish(events);
  anomalies.take(events, now);
  anomalies.report_to(report, options.watch);
  report.dropped = dropped;
  if (options.progress) options.progress(rows.rows.size(), rows.rows.size());
  if (!options.plot.empty()) {
    const auto done = draw(plot ? &*plot : nullptr, rows, scores, options, report);
    if (!done) return done.error();
  }
  return scores;
}

Result<ReplayReport> replay(const ReplayOptions& options) {
  const Ticks started = ticks_now();
  auto read = read_rows(options);
  if (!read) return read.error();
  ReplayReport report;
  const auto scores = score_rows(*read, options, report);
  if (!scores) return scores.error();
  if (!options.out.empty()) {
    if (auto done = write_scores(options.out, *read, *scores); !done) return done.error();
  }
  report.seconds = std::chrono::duration<double>(ticks_now() - started).count();
  return report;
}

}  // namespace lapwing::agent
