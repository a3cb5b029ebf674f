// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/lane.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lapwing::agent {
namespace {

using svg::Box;
using svg::kColumns;
using svg::kLeft;
using svg::kWidth;
using svg::print;

constexpr double kScoreShown = 4;  // higher scores reach the top
// A few empty columns are the picture's own resolution; more are a hole in the data.
constexpr std::size_t kHole = 24;

/// 1, 2 or 5 times a power of ten, so that about as many fit.
double nice_step(double range, double steps) {
  const double rough = range / steps;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double part : {1.0, 2.0, 5.0}) {
    if (part * power >= rough) return part * power;
  }
  return 10 * power;
}

}  // namespace

double Lane::Range::y(double value, const Box& box) const {
  const double part = (value - low) / (high - low);
  return box.top + box.height * (1 - std::clamp(part, -0.02, 1.02));
}

Lane::Range Lane::range() const {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Column& column : columns_) {
    if (column.readings == 0) continue;
    range.low = std::min(range.low, column.low);
    range.high = std::max(range.high, column.high);
  }
  if (!(range.low <= range.high)) return {0, 1};
  double margin = 0.08 * (range.high - range.low);
  if (!(margin > 0)) margin = std::max(1e-3 * std::abs(range.high), 1e-12);
  return {range.low - margin, range.high + margin};
}

void Lane::add(std::size_t at, double value, const detect::Band& band) {
  if (!std::isfinite(value)) return;
  Column& column = columns_[at];
  if (column.readings++ == 0) column.low = column.high = column.first = value;
  column.low = std::min(column.low, value);
  column.high = std::max(column.high, value);
  column.last = value;
  if (!std::isfinite(band.lower) || !std::isfinite(band.upper)) return;
  ++column.bands;
  column.lower_sum += band.lower;
  column.upper_sum += band.upper;
}

void Lane::draw_grid(std::string& out, const Box& box, double ticks) const {
  const Range range = this->range();
  const double step = nice_step(range.high - range.low, ticks);
  for (double at = std::ceil(range.low / step) * step; step > 0 && at <= range.high; at += step) {
    const double y = range.y(at, box);
    print(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y, kLeft + kWidth);
    std::string label;
    print(label, "%.5g", std::abs(at) < step * 1e-6 ? 0.0 : at);
    svg::text_at(out, kLeft - 8, y + 4, "end", label);
    if (at + step == at) break;
  }
}

/// One shape per stretch without a hole.
void Lane::draw_band(std::string& out, const Box& box) const {
  const Range range = this->range();
  for (std::size_t from = 0; from < kColumns;) {
    if (columns_[from].bands == 0) {
      ++from;
      continue;
    }
    std::vector<std::size_t> stretch;
    std::size_t to = from;
    for (std::size_t empty = 0; to < kColumns && empty < kHole; ++to) {
      empty = columns_[to].bands > 0 ? 0 : empty + 1;
      if (columns_[to].bands > 0) stretch.push_back(to);
    }
    out += "<path class=\"band\" d=\"M";
    const auto point = [&](std::size_t at, double sum) {
      print(out, "%.1f %.1fL", kLeft + static_cast<double>(at),
            range.y(sum / static_cast<double>(columns_[at].bands), box));
    };
    for (const std::size_t at : stretch) point(at, columns_[at].upper_sum);
    for (auto at = stretch.rbegin(); at != stretch.rend(); ++at)
      point(*at, columns_[*at].lower_sum);
    out.pop_back();
    out += "Z\"/>\n";
    from = to;
  }
}

void Lane::draw_values(std::string& out, const Box& box) const {
  const Range range = this->range();
  out += "<path class=\"value\" d=\"";
  std::size_t empty = kColumns;
  for (std::size_t at = 0; at < kColumns; ++at) {
    const Column& column = columns_[at];
    if (column.readings == 0) {
      ++empty;
      continue;
    }
    const double x = kLeft + static_cast<double>(at);
    print(out, "%c%.1f %.1f", empty >= kHole ? 'M' : 'L', x, range.y(column.first, box));
    if (column.readings > 1) {
      const bool up = column.last >= column.first;
      print(out, "L%.1f %.1fL%.1f %.1fL%.1f %.1f", x, range.y(up ? column.low : column.high, box),
            x, range.y(up ? column.high : column.low, box), x, range.y(column.last, box));
    }
    empty = 0;
  }
  out += "\"/>\n";
}

void ScoreLane::add(std::size_t column, float score) {
  scores_[column] = std::max(scores_[column], score);
}

void ScoreLane::draw(std::string& out, const Box& box) const {
  const auto y = [&box](double score) {
    return box.top + box.height * (1 - std::min(score, kScoreShown) / kScoreShown);
  };
  for (const bool anomalous : {false, true}) {
    out += anomalous ? "<path class=\"over\" d=\"" : "<path class=\"score\" d=\"";
    for (std::size_t at = 0; at < kColumns; ++at) {
      const auto score = static_cast<double>(scores_[at]);
      if (score <= 0 || (score > 1) != anomalous) continue;
      print(out, "M%.1f %.1fV%.1f", kLeft + static_cast<double>(at), box.bottom(), y(score));
    }
    out += "\"/>\n";
  }
  print(out, "<path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y(1), kLeft + kWidth);
  svg::text_at(out, kLeft - 8, y(1) + 4, "end", "1");
  svg::text_at(out, kLeft - 8, y(kScoreShown) + 10, "end", "4+");
  svg::text_at(out, kLeft, box.top - 8, "start", "score (above 1: anomalous)");
}

}  // namespace lapwing::agent
