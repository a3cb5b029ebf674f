// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lapwing::agent {
namespace {

using detect::Event;

constexpr std::size_t kColumns = 1040;  // one a pixel
constexpr double kLeft = 80;
constexpr double kWidth = kColumns;
constexpr double kPageWidth = kLeft + kWidth + 30;
constexpr double kTop = 64;
constexpr double kHeight = 330;
constexpr double kScoreTop = kTop + kHeight + 34;
constexpr double kScoreHeight = 90;
constexpr double kPageHeight = kScoreTop + kScoreHeight + 58;
constexpr double kScoreShown = 4;  // higher scores reach the top
constexpr std::size_t kLabelsMax = 40;
constexpr std::size_t kShadesMax = 2000;

template <class... Numbers>
void print(std::string& out, const char* format, Numbers... numbers) {
  std::array<char, 400> text{};
  const int length = std::snprintf(text.data(), text.size(), format, numbers...);
  out.append(text.data(), static_cast<std::size_t>(std::clamp(length, 0, 399)));
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 120)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // Control characters and stray bytes are not XML: a picture must open whatever the name is.
        out +=
            static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E ? '?' : c;
    }
  }
  return out;
}

void text_at(std::string& out, double x, double y, const char* anchor, std::string_view text) {
  print(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  out += escaped(text);
  out += "</text>\n";
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

/// 1, 2 or 5 times a power of ten, so that about five fit.
double nice_step(double range) {
  const double rough = range / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double part : {1.0, 2.0, 5.0}) {
    if (part * power >= rough) return part * power;
  }
  return 10 * power;
}

struct TimeStep {
  std::int64_t seconds;
  std::size_t from;  // part of `2026-11-24T08:43:46.000000Z` that is worth showing
  std::size_t length;
};

/// A round span of time, so that at most eight fit.
TimeStep time_step(double seconds) {
  constexpr std::array<TimeStep, 19> kSteps = {{{1, 11, 8},
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
  for (const TimeStep& step : kSteps) {
    if (seconds / static_cast<double>(step.seconds) <= 8) return step;
  }
  const auto year = static_cast<std::int64_t>(seconds / 8 / 31'557'600) + 1;
  return {year * 31'557'600, 0, 10};
}

}  // namespace

struct Plot::Frame {
  double low = 0;
  double high = 1;

  [[nodiscard]] double y(double value) const {
    const double part = (value - low) / (high - low);
    return kTop + kHeight * (1 - std::clamp(part, -0.02, 1.02));
  }
};

Plot::Plot(Time first, Time last)
    : first_(first), last_(std::max(last, first + Micros(1))), columns_(kColumns) {}

void Plot::add(const detect::Sample& sample, const detect::Verdict& verdict) {
  const double part = static_cast<double>((sample.time - first_).count()) /
                      static_cast<double>((last_ - first_).count());
  const auto at = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * (kColumns - 1));
  Column& column = columns_[at];
  column.score = std::max(column.score, verdict.score);
  if (!std::isfinite(sample.value)) return;
  if (column.readings++ == 0) column.low = column.high = column.first = sample.value;
  column.low = std::min(column.low, sample.value);
  column.high = std::max(column.high, sample.value);
  column.last = sample.value;
  if (!std::isfinite(verdict.band.lower) || !std::isfinite(verdict.band.upper)) return;
  ++column.bands;
  column.lower_sum += verdict.band.lower;
  column.upper_sum += verdict.band.upper;
}

Plot::Frame Plot::frame() const {
  Frame frame{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Column& column : columns_) {
    if (column.readings == 0) continue;
    frame.low = std::min(frame.low, column.low);
    frame.high = std::max(frame.high, column.high);
  }
  if (!(frame.low <= frame.high)) return {0, 1};
  double margin = 0.08 * (frame.high - frame.low);
  if (!(margin > 0)) margin = std::max(1e-3 * std::abs(frame.high), 1e-12);
  return {frame.low - margin, frame.high + margin};
}

/// The band as one shape per stretch without a hole.
void Plot::draw_band(std::string& out, const Frame& frame) const {
  for (std::size_t from = 0; from < kColumns;) {
    if (columns_[from].bands == 0) {
      ++from;
      continue;
    }
    // A few empty columns are the picture's own resolution; more are a hole in the data.
    std::vector<std::size_t> stretch;
    std::size_t to = from;
    for (std::size_t empty = 0; to < kColumns && empty < 24; ++to) {
      empty = columns_[to].bands > 0 ? 0 : empty + 1;
      if (columns_[to].bands > 0) stretch.push_back(to);
    }
    out += "<path class=\"band\" d=\"M";
    const auto point = [&](std::size_t at, double sum) {
      print(out, "%.1f %.1fL", kLeft + static_cast<double>(at),
            frame.y(sum / static_cast<double>(columns_[at].bands)));
    };
    for (const std::size_t at : stretch) point(at, columns_[at].upper_sum);
    for (auto at = stretch.rbegin(); at != stretch.rend(); ++at)
      point(*at, columns_[*at].lower_sum);
    out.pop_back();
    out += "Z\"/>\n";
    from = to;
  }
}

void Plot::draw_values(std::string& out, const Frame& frame) const {
  out += "<path class=\"value\" d=\"";
  std::size_t empty = kColumns;
  for (std::size_t at = 0; at < kColumns; ++at) {
    const Column& column = columns_[at];
    if (column.readings == 0) {
      ++empty;
      continue;
    }
    const double x = kLeft + static_cast<double>(at);
    print(out, "%c%.1f %.1f", empty >= 24 ? 'M' : 'L', x, frame.y(column.first));
    if (column.readings > 1) {
      const bool up = column.last >= column.first;
      print(out, "L%.1f %.1fL%.1f %.1fL%.1f %.1f", x, frame.y(up ? column.low : column.high), x,
            frame.y(up ? column.high : column.low), x, frame.y(column.last));
    }
    empty = 0;
  }
  out += "\"/>\n";
}

double Plot::x_of(Time time) const {
  const double part =
      static_cast<double>((time - first_).count()) / static_cast<double>((last_ - first_).count());
  return kLeft + std::clamp(part, 0.0, 1.0) * kWidth;
}

void Plot::draw_labels(std::string& out, std::span<const Labelled> labelled) const {
  for (const Labelled& label : labelled.first(std::min(labelled.size(), kShadesMax))) {
    const double from = x_of(label.first);
    print(out, "<rect class=\"label\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
          from, kTop, std::max(2.0, x_of(label.last) - from), kHeight);
  }
}

void Plot::draw_scores(std::string& out) const {
  const auto y = [](double score) {
    return kScoreTop + kScoreHeight * (1 - std::min(score, kScoreShown) / kScoreShown);
  };
  for (const bool anomalous : {false, true}) {
    out += anomalous ? "<path class=\"over\" d=\"" : "<path class=\"score\" d=\"";
    for (std::size_t at = 0; at < kColumns; ++at) {
      const double score = static_cast<double>(columns_[at].score);
      if (score <= 0 || (score > 1) != anomalous) continue;
      print(out, "M%.1f %.1fV%.1f", kLeft + static_cast<double>(at), kScoreTop + kScoreHeight,
            y(score));
    }
    out += "\"/>\n";
  }
  print(out, "<path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, y(1), kLeft + kWidth);
  text_at(out, kLeft - 8, y(1) + 4, "end", "1");
  text_at(out, kLeft - 8, y(kScoreShown) + 10, "end", "4+");
  text_at(out, kLeft, kScoreTop - 8, "start", "score (above 1: anomalous)");
}

std::string Plot::svg(std::string_view title, std::span<const Event> anomalies,
                      std::span<const Labelled> labelled) const {
  const Frame box = frame();
  std::string out;
  out.reserve(200'000);
  print(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
        "height=\"%.0f\" font-family=\"system-ui,sans-serif\" font-size=\"13\" fill=\"#1f2933\">\n",
        kPageWidth, kPageHeight, kPageWidth, kPageHeight);
  out +=
      "<style>.grid{stroke:#d9dee3;fill:none}.band{fill:#9ec9e8;fill-opacity:.55;stroke:none}"
      ".value{stroke:#1b5e8c;stroke-width:1.2;fill:none;stroke-linejoin:round}"
      ".score{stroke:#5b6b7a;fill:none}.over{stroke:#d03b3b;fill:none}"
      ".label{fill:#3f9b5f;fill-opacity:.28;stroke:none}.limit{stroke:#d03b3b;stroke-dasharray:4 "
      "3;fill:none}"
      ".frame{stroke:#7b8794;fill:none}</style>\n";
  print(out, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#ffffff\"/>\n", kPageWidth, kPageHeight);
  out += "<g font-size=\"17\" font-weight=\"600\">";
  text_at(out, kLeft, 26, "start", title);
  out += "</g>";
  text_at(
      out, kLeft, 46, "start",
      "value (line), expected band (blue), anomalies (shaded and numbered: yellow minor, orange "
      "major, red critical)");
  if (!labelled.empty()) text_at(out, kLeft + kWidth, 46, "end", "labelled times (green)");
  const double step = nice_step(box.high - box.low);
  for (double at = std::ceil(box.low / step) * step; step > 0 && at <= box.high; at += step) {
    print(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, box.y(at), kLeft + kWidth);
    std::string label;
    print(label, "%.5g", std::abs(at) < step * 1e-6 ? 0.0 : at);
    text_at(out, kLeft - 8, box.y(at) + 4, "end", label);
    if (at + step == at) break;
  }
  const TimeStep ticks = time_step(std::chrono::duration<double>(last_ - first_).count());
  const std::int64_t tick_us = ticks.seconds * 1'000'000;
  const std::int64_t first_us = to_micros(first_);
  std::int64_t tick = first_us - ((first_us % tick_us) + tick_us) % tick_us;
  for (; tick <= to_micros(last_); tick += tick_us) {
    if (tick < first_us) continue;
    const double x = x_of(from_micros(tick));
    print(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, kTop, kScoreTop + kScoreHeight);
    std::string label = to_rfc3339(from_micros(tick)).substr(ticks.from, ticks.length);
    std::ranges::replace(label, 'T', ' ');
    text_at(out, x, kScoreTop + kScoreHeight + 20, "middle", label);
  }
  text_at(out, kLeft, kScoreTop + kScoreHeight + 44, "start",
          "from " + to_rfc3339(first_).substr(0, 19) + " to " + to_rfc3339(last_).substr(0, 19) +
              " UTC");

  draw_labels(out, labelled);
  draw_band(out, box);
  std::size_t place = 0;
  for (const Event& event : anomalies) {
    if (++place > kShadesMax) break;
    const double from = x_of(event.onset);
    const double width = std::max(2.5, x_of(std::max(event.onset, event.end)) - from);
    print(out,
          "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
          "fill-opacity=\".35\">",
          from - 1, kTop, width, kScoreTop + kScoreHeight - kTop, colour_of(event.severity));
    out += "<title>" + escaped(detect::describe(event)) + "</title></rect>\n";
    if (anomalies.size() <= kLabelsMax) {
      text_at(out, from + width / 2, kTop - 5, "middle", std::to_string(place));
    }
  }
  draw_values(out, box);
  draw_scores(out);
  for (const auto& [top, height] : {std::pair{kTop, kHeight}, std::pair{kScoreTop, kScoreHeight}}) {
    print(out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
          kLeft, top, kWidth, height);
  }
  out += "</svg>\n";
  return out;
}

}  // namespace lapwing::agent
