// SPDX-License-Identifier: Apache-2.0
/// False alarms over those asked for.
#pragma once

#include "shared/wire/messages.hpp"
#include "tests/quality/options.hpp"
#include "tests/quality/run_stream.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace lapwing::quality {

/// One alarm is asked for in so many readings: at five minutes a week, and five weeks.
inline constexpr std::array<std::size_t, 2> kBudgetRates{2016, 10'080};
/// A stream's own ratio is judged from so many alarms asked on.
inline constexpr double kBudgetJudged = 10;

/// Alarms of one stream at one rate.
struct BudgetCount {
  double asked = 0;
  double unusual = 0;  ///< anomalies of the detector
  double other = 0;    ///< of the quality checks

  /// Counts an anomaly.
  void add(const Opened& opened);
  void add(const BudgetCount& count);
  [[nodiscard]] double ratio() const { return (unusual + other) / asked; }
  [[nodiscard]] bool judged() const { return asked >= kBudgetJudged - 1e-9; }
  [[nodiscard]] bool in_band() const { return ratio() >= 0.5 && ratio() <= 1.5; }
};

/// One count a stream, for each rate.
using BudgetCounts = std::array<std::vector<BudgetCount>, kBudgetRates.size()>;

/// `PREFIX.ratio.RATE` and `PREFIX.in_band.RATE`, and without a rate over all.
void print_budget(const Options& options, const std::string& prefix, const BudgetCounts& counts);

}  // namespace lapwing::quality
