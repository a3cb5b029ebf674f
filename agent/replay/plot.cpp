// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/plot.hpp"

#include <cstddef>

namespace lapwing::agent {
namespace {

using svg::Box;

constexpr Box kValues{svg::kTitleHeight, 330};
constexpr Box kScores{kValues.top + kValues.height + ScoreLane::kTitleHeight, ScoreLane::kHeight};
constexpr Box kAll{kValues.top, kScores.top + kScores.height - kValues.top};
constexpr double kTicks = 5;

}  // namespace

Plot::Plot(Time first, Time last) : axis_(first, last) {}

void Plot::add(const detect::Sample& sample, const detect::Verdict& verdict) {
  const std::size_t column = axis_.column_of(sample.time);
  scores_.add(column, verdict.score);
  lane_.add(column, sample.value, verdict.band);
}

std::string Plot::svg(std::string_view title, std::span<const detect::Event> anomalies,
                      std::span<const Window> labelled) const {
  std::string out;
  out.reserve(200'000);
  svg::begin(out, kAll.bottom() + TimeAxis::kHeight, title,
             "value (line), expected band (blue), anomalies (shaded and numbered: yellow minor, "
             "orange major, red critical)",
             !labelled.empty());
  lane_.draw_grid(out, kValues, kTicks);
  axis_.draw(out, kAll);
  lane_.draw_band(out, kValues);
  std::size_t place = 0;
  for (const detect::Event& anomaly : anomalies) {
    if (++place > TimeAxis::kShadesMax) break;
    axis_.shade(out, anomaly, kAll, ".35", detect::describe(anomaly));
    if (anomalies.size() <= TimeAxis::kNumbersMax) {
      axis_.number(out, anomaly, kValues.top - 5, place);
    }
  }
  lane_.draw_values(out, kValues);
  scores_.draw(out, kScores);
  svg::frame(out, kValues);
  svg::frame(out, kScores);
  axis_.draw_labels(out, labelled, kAll);
  out += "</svg>\n";
  return out;
}

}  // namespace lapwing::agent
