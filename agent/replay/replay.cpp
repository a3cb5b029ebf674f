// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/replay.hpp"

#include "agent/replay/plot.hpp"
#include "agent/replay/scores_file.hpp"
#include "shared/detect/pipeline.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace lapwing::agent {
namespace {

using detect::Event;
using detect::Sample;

constexpr std::size_t kProgressEvery = 1 << 16;  // rows

/// Each anomaly as it was last heard of.
class Anomalies {
 public:
  /// Events of one row; returns whether one is new.
  bool take(std::vector<Event>& events, Time row) {
    bool found = false;
    for (const Event& event : events) {
      const auto [known, fresh] = by_id_.try_emplace(event.id, Known{event, row});
      known->second.event = event;
      found = found || fresh;
    }
    events.clear();
    return found;
  }
  void report_to(ReplayReport& report) const {
    std::vector<Known> all;
    for (const auto& [id, known] : by_id_) all.push_back(known);
    std::ranges::stable_sort(all, {}, [](const Known& k) { return k.event.onset; });
    for (const Known& known : all) {
      report.anomalies.push_back(known.event);
      report.found.push_back(known.found);
    }
  }

 private:
  struct Known {
    Event event;
    Time found{};
  };
  std::map<std::uint64_t, Known> by_id_;
};

void describe_rows(const Rows& rows, ReplayReport& report) {
  report.rows = rows.rows.size();
  report.rows_bad = rows.bad_total;
  report.bad = rows.bad;
  report.times_made_up = rows.times_made_up;
  for (const Row& row : rows.rows) {
    if (!row.readable) continue;
    if (report.readings++ == 0) report.first = report.last = row.time;
    report.first = std::min(report.first, row.time);
    report.last = std::max(report.last, row.time);
  }
}

}  // namespace

Result<std::vector<RowScore>> score_rows(const Rows& rows, const ReplayOptions& options,
                                         ReplayReport& report) {
  auto made = detect::Pipeline::make(options.watch, 1);
  if (!made) return made.error();
  detect::Pipeline& pipeline = **made;
  describe_rows(rows, report);
  std::optional<Plot> plot;
  if (!options.plot.empty()) plot.emplace(report.first, report.last);
  std::vector<RowScore> scores(rows.rows.size());
  std::vector<Event> events;
  Anomalies anomalies;
  std::uint64_t dropped = 0;
  Time now = report.first;  // as if each arrived at its own time; never backwards
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    if (options.progress && i % kProgressEvery == 0) options.progress(i, rows.rows.size());
    const Row& row = rows.rows[i];
    if (!row.readable) continue;
    const Sample sample{row.time, row.number};
    now = std::max(now, sample.time);
    detect::Verdict verdict;
    pipeline.push({&sample, 1}, now, events, {&verdict, 1});
    if (plot) plot->add(sample, verdict);
    if (verdict.scored && !report.warm) {
      report.warm = true;
      report.scored_from = now;
    }
    const std::uint64_t dropped_now = pipeline.state().dropped_total;
    scores[i] = {.score = dropped_now == dropped ? verdict.score : 0,
                 .onset_strength = anomalies.take(events, now) ? verdict.alarm : 0};
    dropped = dropped_now;
  }
  pipeline.finish(events);
  anomalies.take(events, now);
  anomalies.report_to(report);
  report.dropped = dropped;
  if (options.progress) options.progress(rows.rows.size(), rows.rows.size());
  if (plot) {
    const std::string title =
        options.file == "-" ? "standard input" : options.file.filename().string();
    if (auto done = write_text(options.plot, plot->svg(title, report.anomalies)); !done) {
      return done.error();
    }
  }
  return scores;
}

Result<ReplayReport> replay(const ReplayOptions& options, Rows* rows) {
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
  if (rows != nullptr) *rows = std::move(*read);
  return report;
}

}  // namespace lapwing::agent
