// SPDX-License-Identifier: Apache-2.0
/// The time axis of a picture, and what is marked along it.
#pragma once

#include "agent/replay/window.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"
#include "shared/svg/svg.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Plain data; what lies outside of it is drawn at its ends.
class TimeAxis {
 public:
  TimeAxis(Time first, Time last);

  /// [0, svg::kColumns)
  [[nodiscard]] std::size_t column_of(Time time) const;
  [[nodiscard]] double x_of(Time time) const;

  /// Lines at round times through the box, their names below it, and what is shown below those.
  void draw(std::string& out, const svg::Box& box) const;
  /// A strip right below the box, for shades over shades are hard to tell apart; at most kShadesMax
  /// of them.
  void draw_labels(std::string& out, std::span<const Window> labelled, const svg::Box& box) const;
  /// The anomaly's time in its colour. `text` is shown where the reader points at it.
  void shade(std::string& out, const detect::Event& anomaly, const svg::Box& box,
             const char* opacity, std::string_view text) const;
  /// The anomaly's number, over the middle of its time.
  void number(std::string& out, const detect::Event& anomaly, double y, std::size_t place) const;

  static constexpr std::size_t kShadesMax = 2000;
  static constexpr std::size_t kNumbersMax = 40;  ///< more anomalies are drawn without
  static constexpr double kHeight = 58;           ///< of what is drawn below the box

 private:
  [[nodiscard]] double part_of(Time time) const;
  [[nodiscard]] double width_of(const detect::Event& anomaly) const;

  Time first_;
  Time last_;
};

}  // namespace lapwing::agent
