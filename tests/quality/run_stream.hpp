// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/detect/event.hpp"
#include "shared/detect/pipeline.hpp"
#include "shared/detect/watch.hpp"
#include "tests/quality/collections.hpp"
#include "tests/quality/options.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace lapwing::quality {

/// An anomaly's beginning, at the reading that opened it.
struct Opened {
  std::size_t row = 0;
  float score = 0;  ///< of that reading, at least 1
  wire::Reason reason = wire::Reason::unusual;
};

/// What `replay` tells of a stream.
struct Output {
  std::vector<detect::Verdict> verdicts;  ///< one per reading
  std::vector<Opened> opened;
  std::vector<detect::Event> anomalies;  ///< each once, as it ended

  /// Above 1: anomalous.
  [[nodiscard]] std::vector<float> scores() const;
  /// At an anomaly's onset its score, else 0.
  [[nodiscard]] std::vector<float> onsets() const;
};

/// Readings through the product's own pipeline, as if each arrived at its own time.
Output run_stream(std::span<const detect::Sample> samples, const detect::WatchConfig& watch);

/// No fault is accepted as the new normal, since the benchmarks' labels do not: the longest time
/// that a watch takes.
inline constexpr Micros kAcceptNever = std::chrono::hours(24 * 90);

/// A watch with the options' detector and budget.
detect::WatchConfig watch_of(const Options& options, std::size_t warmup);

/// A series of one sensor, warmed up on its training rows; see kAcceptNever.
Output run_series(const Series& series, const Options& options);

}  // namespace lapwing::quality
