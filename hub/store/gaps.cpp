// SPDX-License-Identifier: Apache-2.0
#include "hub/store/gaps.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

namespace lapwing::hub {
namespace {

/// Microseconds as a double: devices' times may lie anywhere, and their difference must not
/// overflow.
double micros_between(Time from, Time to) {
  return static_cast<double>(to_micros(to)) - static_cast<double>(to_micros(from));
}

/// The value that a quarter (`part` 4) or half (2) of the values do not exceed. Never empty.
double lower_quantile(std::vector<double>& values, std::size_t part) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / part);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// What of the hole falls into the loss; nullopt: nothing.
std::optional<Gap> common_part(const Hole& hole, const LossRow& loss) {
  Gap gap{hole.begin, hole.end, loss.reason, loss.records};
  // `from - step` is computed only where it lies within the hole.
  if (loss.from &&
      micros_between(hole.begin, *loss.from) > static_cast<double>(hole.step.count())) {
    gap.from = *loss.from - hole.step;
  }
  if (loss.to) gap.to = std::min(gap.to, *loss.to);
  if (gap.from >= gap.to) return std::nullopt;
  return gap;
}

}  // namespace

std::vector<Hole> find_holes(std::span<const HistoryPoint> points) {
  std::vector<Hole> holes;
  if (points.size() < 2) return holes;
  std::vector<double> steps;
  std::vector<double> lengths;
  for (std::size_t i = 0; i < points.size(); ++i) {
    lengths.push_back(std::max(0.0, micros_between(points[i].begin, points[i].end)));
    if (i > 0) steps.push_back(micros_between(points[i - 1].begin, points[i].begin));
  }
  const auto length = lower_quantile(lengths, 2);
  auto step = lower_quantile(steps, 4);
  if (steps.size() == 1 && length > 0) step = std::min(step, length);
  step = std::clamp(step, 1.0, 1e18);
  const auto longest_pause = std::max(0.0, step - length) + step / 2;
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (micros_between(points[i - 1].end, points[i].begin) <= longest_pause) continue;
    holes.push_back({points[i - 1].end, points[i].begin, Micros(std::llround(step))});
  }
  return holes;
}

std::vector<Gap> find_gaps(std::span<const Hole> holes, std::span<const LossRow> losses) {
  std::vector<Gap> gaps;
  std::size_t first = 0;
  for (const auto& hole : holes) {
    // Windows follow one another: those before this hole are before all that follow.
    while (first < losses.size() && losses[first].to && *losses[first].to <= hole.begin) ++first;
    std::map<wire::LossReason, Gap> joined;
    for (auto i = first; i < losses.size(); ++i) {
      const auto& loss = losses[i];
      if (loss.from &&
          micros_between(hole.end, *loss.from) >= static_cast<double>(hole.step.count())) {
        break;
      }
      const auto gap = common_part(hole, loss);
      if (!gap) continue;
      const auto [at, fresh] = joined.try_emplace(gap->reason, *gap);
      if (fresh) continue;
      auto& last = at->second;
      if (gap->from > last.to) {
        gaps.push_back(last);
        last = *gap;
      } else {
        last.to = std::max(last.to, gap->to);
        last.records += gap->records;
      }
    }
    for (const auto& [reason, gap] : joined) gaps.push_back(gap);
  }
  std::ranges::sort(gaps, {}, [](const Gap& gap) { return std::pair(gap.from, gap.reason); });
  return gaps;
}

}  // namespace lapwing::hub
