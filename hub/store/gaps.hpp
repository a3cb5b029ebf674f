// SPDX-License-Identifier: Apache-2.0
/// Where a stream's history has holes because records were lost. Every engine asks the same.
#pragma once

#include "hub/store/store.hpp"
#include "shared/base/time.hpp"

#include <span>
#include <vector>

namespace lapwing::hub {

/// Time between two neighbouring points of a stream in which one more would have been usual.
struct Hole {
  Time begin{};   ///< end of the point before
  Time end{};     ///< begin of the point after
  Micros step{};  ///< the stream's usual distance from one point to the next
};

/// `points` of one stream, oldest first. The usual distance is their lower quartile: it holds
/// though most of them are missing. A hole is longer than the usual pause by half of it. Two points
/// alone are judged by their own length.
[[nodiscard]] std::vector<Hole> find_holes(std::span<const HistoryPoint> points);

/// The parts of holes in which records were lost, by `from`, then reason; parts of one hole and
/// reason that touch are one gap. A hole that meets no loss is silence and no gap. A lost summary
/// covers the step before it was written, so a loss reaches back that far before its window.
/// `losses` are ordered by `from` and have a window, open at an end where a time is absent.
[[nodiscard]] std::vector<Gap> find_gaps(std::span<const Hole> holes,
                                         std::span<const LossRow> losses);

}  // namespace lapwing::hub
