// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/tune.hpp"
#include "shared/detect/period.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace lapwing::agent {
namespace {

constexpr std::size_t kSearched = 4096;  // values a period is looked for in
constexpr double kDay = 86'400;
constexpr double kWeek = 7 * kDay;
constexpr double kRepeats = 0.3;  // correlation from one pass of a season to the next
constexpr double kPeak = 0.1;     // higher than beside it
constexpr double kCut = 4;        // spreads
constexpr double kPassesMin = 3;
constexpr double kSpanMax = 20 * 366 * kDay;  // beyond it some clock was wrong
constexpr std::size_t kShapeMin = 8;          // readings a shape takes, and may take
constexpr std::size_t kShapeMax = 512;

struct Point {
  double seconds = 0;
  double value = 0;
};

std::vector<Point> points_of(const Rows& rows) {
  std::vector<Point> points;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    const Row& row = rows.rows[i];
    if (!row.readable || !std::isfinite(rows.numbers[i])) continue;
    points.push_back({static_cast<double>(to_micros(row.time)) / 1e6, rows.numbers[i]});
  }
  std::ranges::stable_sort(points, {}, &Point::seconds);
  return points;
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Means over equal spans of time; a span without readings takes the one before.
std::vector<double> resampled(std::span<const Point> points, double step) {
  std::vector<double> out;
  const double from = points.front().seconds;
  std::size_t at = 0;
  double last = points.front().value;
  while (at < points.size()) {
    const double until = from + step * static_cast<double>(out.size() + 1);
    double sum = 0;
    std::size_t count = 0;
    for (; at < points.size() && points[at].seconds < until; ++at, ++count) {
      sum += points[at].value;
    }
    if (count > 0) last = sum / static_cast<double>(count);
    out.push_back(last);
  }
  return out;
}

/// To mean 0, wild values cut: one outlier must not hide what repeats.
std::vector<double> levelled(std::vector<double> values) {
  const double centre = median_of(values);
  double spread = 0;
  for (double& v : values) {
    v -= centre;
    spread += std::abs(v) / static_cast<double>(values.size());
  }
  double mean = 0;
  for (double& v : values) {
    v = std::clamp(v, -kCut * spread, kCut * spread);
    mean += v / static_cast<double>(values.size());
  }
  for (double& v : values) v -= mean;
  return values;
}

double correlation_at(std::span<const double> values, std::size_t lag) {
  double product = 0;
  double now = 0;
  double before = 0;
  for (std::size_t i = lag; i < values.size(); ++i) {
    product += values[i] * values[i - lag];
    now += values[i] * values[i];
    before += values[i - lag] * values[i - lag];
  }
  return now > 0 && before > 0 ? product / std::sqrt(now * before) : 0;
}

/// Whether the stream is more like itself one season ago than somewhat sooner or later; a mere slow
/// change is like itself at every lag.
bool repeats(std::span<const Point> points, double season, double step, double aside) {
  const double span = points.back().seconds - points.front().seconds;
  if (span < kPassesMin * season || span > kSpanMax) return false;
  const auto values = levelled(resampled(points, step));
  const auto at = [&](double seconds) {
    return correlation_at(values, static_cast<std::size_t>(std::round(seconds / step)));
  };
  const double height = at(season);
  return height > kRepeats && height > at(season - aside) + kPeak &&
         height > at(season + aside) + kPeak;
}

/// A clear period that comes at least two and a half times, in values; 0: none.
std::size_t period_of(std::span<const double> values) {
  const auto level = levelled({values.begin(), values.end()});
  std::vector<float> narrow(level.size());
  std::ranges::transform(level, narrow.begin(), [](double v) { return static_cast<float>(v); });
  return detect::find_period(narrow, narrow.size() * 2 / 5, detect::PeriodRule::clear);
}

/// Any period, in the newest readings or, coarsely, in all.
void look_for_period(std::span<const Point> points, StreamFacts& facts) {
  const double interval = facts.interval_seconds;
  const double span = points.back().seconds - points.front().seconds;
  if (!(interval > 0)) return;
  const double newest = points.back().seconds - interval * static_cast<double>(kSearched);
  const auto from = std::ranges::lower_bound(points, newest, {}, &Point::seconds);
  const auto fine = resampled({from, points.end()}, interval);
  const std::size_t lag = period_of(fine);
  facts.fine_period = lag >= kShapeMin && lag <= kShapeMax;
  double seconds = static_cast<double>(lag) * interval;
  if (lag == 0) {
    const double step = std::max(interval, span / static_cast<double>(kSearched));
    seconds = static_cast<double>(period_of(resampled(points, step))) * step;
  }
  if (seconds > 0) facts.period = Micros(std::llround(seconds * 1e6));
}

void look_at_times(std::span<const Point> points, std::uint64_t holes, StreamFacts& facts) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < points.size(); ++i) {
    steps.push_back(points[i].seconds - points[i - 1].seconds);
  }
  facts.interval_seconds = median_of(steps);
  if (!(facts.interval_seconds > 0)) return;
  double absent = static_cast<double>(holes);
  std::size_t irregular = 0;
  for (const double step : steps) {
    const double over = step / facts.interval_seconds;
    irregular += std::abs(over - 1) > 0.1 ? 1 : 0;
    if (over > 1.5) absent += std::round(over) - 1;
  }
  const auto there = static_cast<double>(points.size());
  facts.irregular_share = static_cast<double>(irregular) / static_cast<double>(steps.size());
  facts.missing_share = std::min(1.0, absent / (there + absent));
}

void look_at_values(std::span<const Point> points, StreamFacts& facts) {
  facts.low = facts.high = points.front().value;
  std::uint64_t run = 1;
  std::uint64_t same = 0;
  facts.stuck_longest = 1;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const bool again = points[i].value == points[i - 1].value;
    run = again ? run + 1 : 1;
    same += again ? 1 : 0;
    facts.stuck_longest = std::max(facts.stuck_longest, run);
    facts.low = std::min(facts.low, points[i].value);
    facts.high = std::max(facts.high, points[i].value);
  }
  facts.same_share = static_cast<double>(same) / static_cast<double>(points.size());
}

}  // namespace

StreamFacts facts_of(const Rows& rows) {
  StreamFacts facts;
  const auto points = points_of(rows);
  facts.readings = points.size();
  if (points.size() < 2) return facts;
  look_at_times(points, rows.rows.size() - points.size(), facts);
  look_at_values(points, facts);
  if (!rows.times_made_up && facts.interval_seconds <= kDay / 8) {
    facts.daily = repeats(points, kDay, kDay / 96, kDay * 3 / 16);
    facts.weekly = repeats(points, kWeek, 3600, kDay);
  }
  look_for_period(points, facts);
  return facts;
}

}  // namespace lapwing::agent
