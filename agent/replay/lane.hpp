// SPDX-License-Identifier: Apache-2.0
/// Values and scores over time, as the pictures draw them.
#pragma once

#include "shared/detect/detector.hpp"
#include "shared/svg/svg.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace lapwing::agent {

/// The values of one sensor, collected into a fixed number of columns: least and greatest value and
/// the mean band of each, so that nothing that stands out is lost however many there are.
class Lane {
 public:
  Lane() : columns_(svg::kColumns) {}

  /// A missing value (NaN) draws nothing.
  void add(std::size_t column, double value, const detect::Band& band = {});
  /// Horizontal lines at about `ticks` round values, which stand left of them.
  void draw_grid(std::string& out, const svg::Box& box, double ticks) const;
  void draw_band(std::string& out, const svg::Box& box) const;
  void draw_values(std::string& out, const svg::Box& box) const;

 private:
  struct Column {
    std::size_t readings = 0;
    std::size_t bands = 0;
    double low = 0;
    double high = 0;
    double first = 0;
    double last = 0;
    double lower_sum = 0;
    double upper_sum = 0;
  };
  /// The vertical axis.
  struct Range {
    double low = 0;
    double high = 1;

    [[nodiscard]] double y(double value, const svg::Box& box) const;
  };
  [[nodiscard]] Range range() const;

  std::vector<Column> columns_;
};

/// The greatest score of each column, up to 4.
class ScoreLane {
 public:
  static constexpr double kHeight = 90;
  static constexpr double kTitleHeight = 34;  ///< above the box

  void add(std::size_t column, float score);
  void draw(std::string& out, const svg::Box& box) const;

 private:
  std::array<float, svg::kColumns> scores_{};
};

}  // namespace lapwing::agent
