// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/run_stream.hpp"

#include <algorithm>
#include <map>

namespace lapwing::quality {

std::vector<float> Output::scores() const {
  std::vector<float> out;
  out.reserve(verdicts.size());
  for (const auto& verdict : verdicts) out.push_back(verdict.score);
  return out;
}

std::vector<float> Output::onsets() const {
  std::vector<float> out(verdicts.size());
  for (const auto& one : opened) out[one.row] = std::max(out[one.row], one.score);
  return out;
}

Output run_stream(std::span<const detect::Sample> samples, const detect::WatchConfig& watch) {
  const auto pipeline = detect::Pipeline::make(watch, 1).value();
  Output out;
  out.verdicts.resize(samples.size());
  std::vector<detect::Event> events;
  std::map<std::uint64_t, detect::Event> anomalies;
  std::uint64_t dropped = 0;
  Time now = samples.empty() ? Time{} : samples.front().time;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    now = std::max(now, samples[i].time);
    pipeline->push(samples.subspan(i, 1), now, events, {&out.verdicts[i], 1});
    const std::uint64_t dropped_now = pipeline->state().dropped_total;
    if (dropped_now != dropped) out.verdicts[i].score = 0;
    dropped = dropped_now;
    for (const auto& event : events) {
      if (event.phase == wire::Phase::opened) {
        out.opened.push_back({i, out.verdicts[i].alarm, event.reason});
      }
      anomalies.insert_or_assign(event.id, event);
    }
    events.clear();
  }
  pipeline->finish(events);
  for (const auto& event : events) anomalies.insert_or_assign(event.id, event);
  for (const auto& [id, event] : anomalies) out.anomalies.push_back(event);
  std::ranges::stable_sort(out.anomalies, {}, &detect::Event::onset);
  return out;
}

detect::WatchConfig watch_of(const Options& options, std::size_t warmup) {
  detect::WatchConfig watch;
  watch.detector = options.detector;
  watch.alarms_per_week = options.alarms_per_week;
  watch.warmup = static_cast<std::uint32_t>(std::clamp<std::size_t>(warmup, 60, 100'000));
  return watch;
}

Output run_series(const Series& series, const Options& options) {
  const auto watch = watch_of(options, series.train_rows);
  std::vector<detect::Sample> samples(series.rows());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = {series.times[i], series.values[i * series.width()]};
  }
  return run_stream(samples, watch);
}

}  // namespace lapwing::quality
