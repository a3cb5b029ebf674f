// SPDX-License-Identifier: Apache-2.0
/// A picture of one stream: value, expected band, anomalies, labels, and the score below.
#pragma once

#include "agent/replay/lane.hpp"
#include "agent/replay/time_axis.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/event.hpp"
#include "shared/detect/pipeline.hpp"

#include <span>
#include <string>
#include <string_view>

namespace lapwing::agent {

/// Collects readings, so that a picture of millions is as small as one of a thousand: at most about
/// 400 KiB.
class Plot {
 public:
  /// The span of time that is drawn.
  Plot(Time first, Time last);

  void add(const detect::Sample& sample, const detect::Verdict& verdict);
  /// The picture as SVG. `title` may hold any text.
  [[nodiscard]] std::string svg(std::string_view title, std::span<const detect::Event> anomalies,
                                std::span<const Window> labelled = {}) const;

 private:
  TimeAxis axis_;
  Lane lane_;
  ScoreLane scores_;
};

}  // namespace lapwing::agent
