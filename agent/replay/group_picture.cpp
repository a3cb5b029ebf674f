// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/group_picture.hpp"

#include "agent/replay/lane.hpp"
#include "agent/replay/time_axis.hpp"

#include <algorithm>
#include <numeric>

namespace lapwing::agent {
namespace {

using svg::Box;

constexpr double kNumbersHeight = 18;  // of the anomalies, above the first lane's name
constexpr double kNameHeight = 20;     // above each lane
constexpr double kLanesHeight = 440;   // shared by the lanes, as far as the smallest allow
constexpr double kLaneHeightMin = 46;
constexpr double kLaneHeightMax = 130;
constexpr double kTickHeight = 24;
constexpr double kTicksMin = 3.5;   // one alone is no scale
constexpr std::size_t kMarked = 3;  // contributors of an anomaly, those that its text names
constexpr float kMarkedShareMin = 0.1F;

/// Where everything lies.
struct Layout {
  explicit Layout(std::size_t lanes)
      : lane_height(std::clamp(kLanesHeight / static_cast<double>(lanes) - kNameHeight,
                               kLaneHeightMin, kLaneHeightMax)) {
    const double lanes_height = static_cast<double>(lanes) * (kNameHeight + lane_height);
    const double top = svg::kTitleHeight + kNumbersHeight;
    scores = {top + lanes_height + ScoreLane::kTitleHeight, ScoreLane::kHeight};
    all = {lane(0).top, scores.bottom() - lane(0).top};
  }
  [[nodiscard]] Box lane(std::size_t place) const {
    const double above = static_cast<double>(place) * (kNameHeight + lane_height) + kNameHeight;
    return {svg::kTitleHeight + kNumbersHeight + above, lane_height};
  }

  double lane_height;
  Box scores;
  Box all;
};

class Picture {
 public:
  Picture(const Rows& rows, const ReplayReport& report)
      : rows_(rows),
        report_(report),
        axis_(report.first, report.last),
        sensors_(lanes_of(report)),
        lanes_(sensors_.size()),
        layout_(sensors_.size()) {}

  void collect(std::span<const RowScore> scores) {
    for (std::size_t i = 0; i < rows_.rows.size(); ++i) {
      if (!rows_.rows[i].readable) continue;
      const std::size_t column = axis_.column_of(rows_.rows[i].time);
      const auto numbers = rows_.numbers_of(i);
      for (std::size_t l = 0; l < lanes_.size(); ++l) lanes_[l].add(column, numbers[sensors_[l]]);
      scores_.add(column, scores[i].score);
    }
  }

  [[nodiscard]] std::string svg(std::string_view title) const {
    std::string out;
    out.reserve(400'000);
    svg::begin(out, layout_.all.bottom() + TimeAxis::kHeight, title,
               "anomalies shaded and numbered (yellow minor, orange major, red critical), stronger "
               "where a sensor contributed most",
               report_.labelled && !report_.labelled->empty());
    for (std::size_t l = 0; l < lanes_.size(); ++l) {
      lanes_[l].draw_grid(out, layout_.lane(l),
                          std::max(kTicksMin, layout_.lane_height / kTickHeight));
    }
    axis_.draw(out, layout_.all);
    draw_anomalies(out);
    for (std::size_t l = 0; l < lanes_.size(); ++l) draw_lane(out, l);
    scores_.draw(out, layout_.scores);
    svg::frame(out, layout_.scores);
    if (report_.labelled) axis_.draw_labels(out, *report_.labelled, layout_.all);
    if (sensors_.size() < report_.sensors.size()) {
      svg::text_at(out, svg::kLeft + svg::kWidth, layout_.all.bottom() + 44, "end",
                   std::to_string(report_.sensors.size() - sensors_.size()) + " of " +
                       std::to_string(report_.sensors.size()) +
                       " sensors are not drawn: those that contributed least");
    }
    return out + "</svg>\n";
  }

 private:
  void draw_anomalies(std::string& out) const {
    std::size_t place = 0;
    for (const Anomaly& one : report_.anomalies) {
      if (++place > TimeAxis::kShadesMax) break;
      const bool numbered = report_.anomalies.size() <= TimeAxis::kNumbersMax;
      if (!one.sensor) {
        axis_.shade(out, one.event, layout_.all, ".16", one.text);
        if (numbered) axis_.number(out, one.event, svg::kTitleHeight + 12, place);
        mark(out, one);
      } else if (const auto lane = lane_of(*one.sensor); lane != lanes_.size()) {
        axis_.shade(out, one.event, layout_.lane(lane), ".45", one.text);
        if (numbered) axis_.number(out, one.event, layout_.lane(lane).top - 5, place);
      }
    }
  }
  /// The lanes of the largest contributors.
  void mark(std::string& out, const Anomaly& one) const {
    for (std::size_t i = 0; i < std::min(kMarked, one.parts.size()); ++i) {
      const auto lane = lane_of(one.parts[i].sensor);
      if (i > 0 && one.parts[i].share < kMarkedShareMin) return;
      if (lane != lanes_.size()) axis_.shade(out, one.event, layout_.lane(lane), ".4", one.text);
    }
  }
  void draw_lane(std::string& out, std::size_t lane) const {
    const Box box = layout_.lane(lane);
    lanes_[lane].draw_values(out, box);
    svg::frame(out, box);
    svg::text_at(out, svg::kLeft, box.top - 5, "start", report_.sensors[sensors_[lane]]);
  }
  /// Its place, or lanes_.size() where it is not drawn.
  [[nodiscard]] std::size_t lane_of(std::size_t sensor) const {
    return static_cast<std::size_t>(std::ranges::find(sensors_, sensor) - sensors_.begin());
  }

  const Rows& rows_;
  const ReplayReport& report_;
  TimeAxis axis_;
  std::vector<std::size_t> sensors_;  ///< of the lanes, from above
  std::vector<Lane> lanes_;
  ScoreLane scores_;
  Layout layout_;
};

}  // namespace

std::vector<std::size_t> lanes_of(const ReplayReport& report) {
  std::vector<double> weights(report.sensors.size());
  for (const Anomaly& one : report.anomalies) {
    if (one.sensor) weights[*one.sensor] += 1;
    for (const detect::Part& part : one.parts) {
      weights[part.sensor] += static_cast<double>(part.share);
    }
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return weights[a] > weights[b]; });
  order.resize(std::min(order.size(), kLanesMax));
  return order;
}

std::string group_picture(std::string_view title, const Rows& rows,
                          std::span<const RowScore> scores, const ReplayReport& report) {
  Picture picture(rows, report);
  picture.collect(scores);
  return picture.svg(title);
}

}  // namespace lapwing::agent
