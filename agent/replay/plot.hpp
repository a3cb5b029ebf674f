// SPDX-License-Identifier: Apache-2.0
/// A picture of one stream: value, expected band, anomalies, labels, and the score below.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"
#include "shared/detect/pipeline.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::agent {

/// A time that people have labelled as anomalous, both ends included.
struct Labelled {
  Time first{};
  Time last{};
};

/// Collects readings into a fixed number of columns, so that a picture of millions of readings is
/// as small as one of a thousand: at most about 400 KiB. Each column keeps least and greatest
/// value, the mean band and the greatest score; nothing that stands out is lost.
class Plot {
 public:
  /// The span of time that is drawn.
  Plot(Time first, Time last);

  void add(const detect::Sample& sample, const detect::Verdict& verdict);
  /// The picture as SVG. `title` may hold any text.
  [[nodiscard]] std::string svg(std::string_view title, std::span<const detect::Event> anomalies,
                                std::span<const Labelled> labelled = {}) const;

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
    float score = 0;
  };
  struct Frame;

  void draw_values(std::string& out, const Frame& frame) const;
  void draw_band(std::string& out, const Frame& frame) const;
  void draw_scores(std::string& out) const;
  void draw_labels(std::string& out, std::span<const Labelled> labelled) const;
  [[nodiscard]] double x_of(Time time) const;
  [[nodiscard]] Frame frame() const;

  Time first_;
  Time last_;
  std::vector<Column> columns_;
};

}  // namespace lapwing::agent
