// SPDX-License-Identifier: Apache-2.0
#include "tests/quality/nab_score.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lapwing::quality {
namespace {

constexpr std::int32_t kOutside = -1;

/// A judged row: what an alarm here would be worth, before weights.
struct Point {
  float score = 0;
  std::int32_t window = kOutside;
  double worth = 0;
};

/// 1 well before 0, 0 at 0, -1 well after; flat further than three widths out.
double shaped(double y) { return y > 3 ? -1.0 : 2 / (1 + std::exp(5 * y)) - 1; }

struct Points {
  std::vector<Point> list;
  std::size_t windows = 0;
};

void add_file(const NabFile& file, Points& out) {
  const std::size_t rows = file.scores.size();
  const std::size_t begin = nab_probation(rows);
  const double unit = shaped(-1);
  std::size_t row = 0;
  std::optional<std::pair<std::size_t, double>> last;  // end and width of the window before
  const auto outside_until = [&](std::size_t end) {
    for (; row < end; ++row) {
      if (row < begin) continue;
      const double worth =
          last ? shaped(static_cast<double>(row - last->first) / (last->second - 1)) : -1.0;
      out.list.push_back({file.scores[row], kOutside, worth});
    }
  };
  for (const auto& [from, to] : file.windows) {
    outside_until(from);
    const auto width = static_cast<double>(to - from + 1);
    for (; row <= to && row < rows; ++row) {
      if (row < begin) continue;
      const double worth = shaped(-static_cast<double>(to - row + 1) / width) / unit;
      out.list.push_back({file.scores[row], static_cast<std::int32_t>(out.windows), worth});
    }
    last = {to, width};
    ++out.windows;
  }
  outside_until(rows);
}

/// The threshold with the best sum; rows of one score pass together.
double best_threshold(const Points& points, const NabProfile& weight) {
  std::vector<const Point*> order;
  order.reserve(points.list.size());
  for (const auto& point : points.list) order.push_back(&point);
  std::ranges::stable_sort(order, std::ranges::greater{}, [](const Point* p) { return p->score; });
  std::vector<std::optional<double>> hit(points.windows);
  double sum = -weight.miss * static_cast<double>(points.windows);
  double best = sum;
  double threshold = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < order.size();) {
    const float at = order[i]->score;
    for (; i < order.size() && order[i]->score == at; ++i) {
      const Point& point = *order[i];
      if (point.window == kOutside) {
        sum += point.worth * weight.false_alarm;
        continue;
      }
      auto& first = hit[static_cast<std::size_t>(point.window)];
      if (!first) sum += weight.miss;
      if (!first || point.worth > *first) {
        sum += weight.hit * (point.worth - first.value_or(0));
        first = point.worth;
      }
    }
    if (sum > best + 1e-12) {
      best = sum;
      threshold = static_cast<double>(at);
    }
  }
  return threshold;
}

}  // namespace

std::size_t nab_probation(std::size_t rows) noexcept {
  return std::min<std::size_t>(static_cast<std::size_t>(0.15 * static_cast<double>(rows)), 750);
}

NabResult nab_score(std::span<const NabFile> files, const NabProfile& profile,
                    std::optional<double> threshold) {
  Points points;
  for (const auto& file : files) add_file(file, points);
  NabResult result{.windows = points.windows};
  result.threshold = threshold ? *threshold : best_threshold(points, profile);
  std::vector<std::optional<double>> hit(points.windows);
  double sum = 0;
  for (const auto& point : points.list) {
    if (static_cast<double>(point.score) < result.threshold) continue;
    if (point.window == kOutside) {
      sum += point.worth * profile.false_alarm;
      ++result.false_rows;
    } else {
      auto& best = hit[static_cast<std::size_t>(point.window)];
      best = std::max(best.value_or(-1), point.worth);
    }
  }
  for (const auto& worth : hit) {
    sum += worth ? profile.hit * *worth : -profile.miss;
    result.windows_hit += worth ? 1 : 0;
  }
  const auto windows = static_cast<double>(points.windows);
  result.score = 100 * (sum + profile.miss * windows) / (windows * (profile.hit + profile.miss));
  return result;
}

}  // namespace lapwing::quality
