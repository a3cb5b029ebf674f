// SPDX-License-Identifier: Apache-2.0
/// How many alarms a model raises where its training rows taught the threshold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace lapwing::model {

/// On rows the training did not see. Where they are like those of the training, `raised` is near
/// `expected`; ten expected ones or more tell something.
struct Alarms {
  double asked_per_week = 1;
  double weeks = 0;  ///< that the rows take
  double expected = 0;
  std::uint64_t raised = 0;
};

/// `trained` and `held_out` are raw scores, oldest first; the threshold is the one that the newest
/// 100,000 of `trained` teach (detect::Calibration). It stays: a device would go on correcting it
/// by the alarms it raises, and so hide that the rows have changed. Rows above it that are fewer
/// than Calibration::kHold apart are one alarm. Absent: fewer than 16 of `trained`, or no rate.
[[nodiscard]] std::optional<Alarms> count_alarms(std::span<const float> trained,
                                                 std::span<const float> held_out,
                                                 double rows_per_week, double asked_per_week);

}  // namespace lapwing::model
