// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/time_axis.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lapwing::agent {
namespace {

using svg::Box;
using svg::kLeft;
using svg::kWidth;
using svg::print;

constexpr double kLabelHeight = 6;

struct Step {
  std::int64_t seconds;
  std::size_t from;  // part of `2026-11-24T08:43:46.000000Z` that is worth showing
  std::size_t length;
};

/// A round span of time, so that at most eight fit.
Step step_for(double seconds) {
  constexpr std::array<Step, 19> kSteps = {{{1, 11, 8},
                                            {2, 11, 8},
                                            {5, 11, 8},
                                            {10, 11, 8},
                                            {30, 11, 8},
                                            {60, 11, 5},
                                            {300, 11, 5},
                                            {600, 11, 5},
                                            {1800, 11, 5},
                                            {3600, 11, 5},
                                            {3 * 3600, 5, 11},
                                            {6 * 3600, 5, 11},
                                            {12 * 3600, 5, 11},
                                            {86400, 5, 5},
                                            {2 * 86400, 5, 5},
                                            {7 * 86400, 0, 10},
                                            {14 * 86400, 0, 10},
                                            {28 * 86400, 0, 10},
                                            {91 * 86400, 0, 10}}};
  for (const Step& step : kSteps) {
    if (seconds / static_cast<double>(step.seconds) <= 8) return step;
  }
  const auto year = static_cast<std::int64_t>(seconds / 8 / 31'557'600) + 1;
  return {year * 31'557'600, 0, 10};
}

const char* colour_of(wire::Severity severity) {
  switch (severity) {
    case wire::Severity::minor:
      return "#f2b134";
    case wire::Severity::major:
      return "#e8762d";
    case wire::Severity::critical:
      break;
  }
  return "#d03b3b";
}

}  // namespace

TimeAxis::TimeAxis(Time first, Time last)
    : first_(first), last_(std::max(last, first + Micros(1))) {}

double TimeAxis::part_of(Time time) const {
  const double part =
      static_cast<double>((time - first_).count()) / static_cast<double>((last_ - first_).count());
  return std::clamp(part, 0.0, 1.0);
}

std::size_t TimeAxis::column_of(Time time) const {
  return static_cast<std::size_t>(part_of(time) * (svg::kColumns - 1));
}

double TimeAxis::x_of(Time time) const { return kLeft + part_of(time) * kWidth; }

double TimeAxis::width_of(const detect::Event& anomaly) const {
  return std::max(2.5, x_of(std::max(anomaly.onset, anomaly.end)) - x_of(anomaly.onset));
}

void TimeAxis::draw(std::string& out, const Box& box) const {
  const Step step = step_for(std::chrono::duration<double>(last_ - first_).count());
  const std::int64_t step_us = step.seconds * 1'000'000;
  const std::int64_t first_us = to_micros(first_);
  std::int64_t tick = first_us - ((first_us % step_us) + step_us) % step_us;
  for (; tick <= to_micros(last_); tick += step_us) {
    if (tick < first_us) continue;
    const double x = x_of(from_micros(tick));
    print(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, box.top, box.bottom());
    std::string label = to_rfc3339(from_micros(tick)).substr(step.from, step.length);
    std::ranges::replace(label, 'T', ' ');
    svg::text_at(out, x, box.bottom() + 20, "middle", label);
  }
  svg::text_at(out, kLeft, box.bottom() + 44, "start",
               "from " + to_rfc3339(first_).substr(0, 19) + " to " +
                   to_rfc3339(last_).substr(0, 19) + " UTC");
}

void TimeAxis::draw_labels(std::string& out, std::span<const Window> labelled,
                           const Box& box) const {
  for (const Window& label : labelled.first(std::min(labelled.size(), kShadesMax))) {
    const double from = x_of(label.start);
    print(out, "<rect class=\"label\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
          from, box.bottom() + 1, std::max(2.0, x_of(label.end) - from), kLabelHeight);
  }
}

void TimeAxis::shade(std::string& out, const detect::Event& anomaly, const Box& box,
                     const char* opacity, std::string_view text) const {
  print(out,
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
        "fill-opacity=\"%s\">",
        x_of(anomaly.onset) - 1, box.top, width_of(anomaly), box.height,
        colour_of(anomaly.severity), opacity);
  out += "<title>" + svg::escaped(text) + "</title></rect>\n";
}

void TimeAxis::number(std::string& out, const detect::Event& anomaly, double y,
                      std::size_t place) const {
  svg::text_at(out, x_of(anomaly.onset) + width_of(anomaly) / 2, y, "middle",
               std::to_string(place));
}

}  // namespace lapwing::agent
