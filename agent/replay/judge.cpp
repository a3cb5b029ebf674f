// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/judge.hpp"

#include <algorithm>
#include <limits>

namespace lapwing::agent {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr double kSecondsAWeek = 604'800;

double seconds_between(Time from, Time to) {
  return std::chrono::duration<double>(to - from).count();
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? kNothing : static_cast<double>(part) / static_cast<double>(whole);
}

/// Scored time that no window covers, in weeks.
double clean_weeks(const ReplayReport& report, std::span<const Window> windows) {
  std::vector<Window> sorted(windows.begin(), windows.end());
  std::ranges::sort(sorted, {}, &Window::start);
  double seconds = 0;
  Time from = report.scored_from;
  for (const Window& window : sorted) {
    if (window.start > from) {
      seconds += seconds_between(from, std::min(window.start, report.last));
    }
    from = std::clamp(window.end, from, std::max(from, report.last));
  }
  if (from < report.last) seconds += seconds_between(from, report.last);
  return std::max(seconds, 0.0) / kSecondsAWeek;
}

}  // namespace

std::vector<Window> windows_of(const Rows& rows) {
  std::vector<Window> windows;
  bool inside = false;
  for (const Row& row : rows.rows) {
    if (!row.readable) continue;
    if (row.anomalous && !inside) windows.push_back({row.time, row.time});
    if (row.anomalous) windows.back().end = std::max(windows.back().end, row.time);
    inside = row.anomalous;
  }
  return windows;
}

Judgement judge(const ReplayReport& report, std::span<const Window> windows) {
  Judgement out;
  const auto early = [&](const Window& w) { return !report.warm || w.end < report.scored_from; };
  const auto meets = [](const Anomaly& one, const Window& w) {
    return one.found <= w.end && std::max(one.event.end, one.found) >= w.start;
  };
  for (const Anomaly& one : report.anomalies) {
    bool met = false;
    bool met_early = false;
    for (const Window& window : windows) {
      if (!meets(one, window)) continue;
      (early(window) ? met_early : met) = true;
    }
    if (met_early && !met) continue;
    ++out.anomalies;
    out.true_anomalies += met ? 1 : 0;
  }
  for (const Window& window : windows) {
    if (early(window)) {
      ++out.windows_early;
      continue;
    }
    ++out.windows;
    std::optional<Time> first;
    for (const Anomaly& one : report.anomalies) {
      if (!meets(one, window)) continue;
      const Time found = std::max(one.found, window.start);
      first = first ? std::min(*first, found) : found;
    }
    if (!first) continue;
    ++out.windows_found;
    out.delays.push_back(seconds_between(window.start, *first));
  }
  if (report.warm) out.clean_weeks = clean_weeks(report, windows);
  return out;
}

double Judgement::precision() const { return share(true_anomalies, anomalies); }
double Judgement::recall() const { return share(windows_found, windows); }
double Judgement::false_alarms_per_week() const {
  return clean_weeks > 0 ? static_cast<double>(anomalies - true_anomalies) / clean_weeks : kNothing;
}
double Judgement::median_delay() const {
  if (delays.empty()) return kNothing;
  std::vector<double> sorted = delays;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

void Judgement::add(const Judgement& other) {
  anomalies += other.anomalies;
  true_anomalies += other.true_anomalies;
  windows += other.windows;
  windows_found += other.windows_found;
  windows_early += other.windows_early;
  clean_weeks += other.clean_weeks;
  delays.insert(delays.end(), other.delays.begin(), other.delays.end());
}

}  // namespace lapwing::agent
