// SPDX-License-Identifier: Apache-2.0
/// The score users see: ranked as the detector ranks, and above 1 only where there is an anomaly.
#pragma once

namespace lapwing::detect {

/// The least score of a row that an alarm or an anomaly stands on.
inline constexpr float kAlarmScore = 1.01F;

/// `score`: the detector's own, in units of what is rare. Outside of anomalies it stays below 1,
/// rising all the same.
[[nodiscard]] inline float shown_score(float score, bool anomalous) noexcept {
  if (anomalous || score <= 0.9F) return score;
  return 1 - 0.01F / (score - 0.8F);
}

}  // namespace lapwing::detect
