// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/run_group.hpp"

#include "shared/detect/group_pipeline.hpp"
#include "shared/detect/kinds.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <vector>

namespace lapwing::quality {
namespace {

/// Keeps each anomaly of the whole group once, as it is now.
class Anomalies {
 public:
  void take(std::vector<detect::GroupEvent>& events) {
    for (const auto& event : events) {
      if (event.sensor == detect::GroupEvent::kGroup)
        latest_.insert_or_assign(event.event.id, event);
    }
    events.clear();
  }
  [[nodiscard]] GroupOutput result(Output output) const {
    GroupOutput result{std::move(output)};
    double highest = 0;
    for (const auto& [id, event] : latest_) {
      result.output.anomalies.push_back(event.event);
      if (event.parts_count == 0 || event.event.peak_score <= highest) continue;
      highest = event.event.peak_score;
      result.sensor = event.parts[0].sensor;
    }
    std::ranges::stable_sort(result.output.anomalies, {}, &detect::Event::onset);
    return result;
  }

 private:
  std::map<std::uint64_t, detect::GroupEvent> latest_;
};

}  // namespace

Result<GroupOutput> run_group(const Series& series, const Options& options) {
  if (detect::find_live_kind(options.group_detector, detect::Input::group) == nullptr) {
    return Error{Errc::not_found, "no kind \"" + options.group_detector + "\" for groups"};
  }
  detect::GroupConfig group{.watch = watch_of(options, series.train_rows)};
  group.watch.detector = options.group_detector;
  group.watch.accept_after = kAcceptNever;
  const auto pipeline = detect::GroupPipeline::make(group, series.width(), 1);
  if (!pipeline) return within(series.name, pipeline.error());
  Output output;
  Anomalies anomalies;
  std::vector<detect::GroupEvent> events;
  Time now = series.times.front();
  for (std::size_t i = 0; i < series.rows(); ++i) {
    now = std::max(now, series.times[i]);
    const auto row = std::span(series.values).subspan(i * series.width(), series.width());
    const auto verdict = (*pipeline)->push(series.times[i], row, now, events);
    output.verdicts.push_back(
        {.score = verdict.score, .scored = verdict.scored, .anomalous = verdict.anomalous});
    for (const auto& event : events) {
      if (event.sensor != detect::GroupEvent::kGroup) continue;
      if (event.event.phase != wire::Phase::opened) continue;
      output.opened.push_back({i, std::max(verdict.score, 1.0F), event.event.reason});
    }
    anomalies.take(events);
  }
  (*pipeline)->finish(events);
  anomalies.take(events);
  return anomalies.result(std::move(output));
}

}  // namespace lapwing::quality
