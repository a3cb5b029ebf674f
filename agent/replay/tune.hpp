// SPDX-License-Identifier: Apache-2.0
/// `lapwing-agent tune FILE`: looks at a stream and proposes how to watch it.
#pragma once

#include "agent/replay/replay.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/detect/watch.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::agent {

/// What a stream is like.
struct StreamFacts {
  std::uint64_t readings = 0;
  double interval_seconds = 0;      ///< the median
  double irregular_share = 0;       ///< of intervals more than a tenth away from it
  double missing_share = 0;         ///< of the readings that usual intervals would have given
  std::uint64_t stuck_longest = 0;  ///< readings in a row of one value
  double same_share = 0;            ///< of readings equal to the one before
  double low = 0;
  double high = 0;
  std::optional<Micros> period;  ///< that repeats, of any length
  bool daily = false;            ///< repeats each day, over at least three
  bool weekly = false;           ///< and each week, over at least three
  bool fine_period = false;      ///< the period is short enough to compare shapes of
};

/// Facts of the readable rows. Cost: O(n log n).
[[nodiscard]] StreamFacts facts_of(const Rows& rows);

struct Tuning {
  static constexpr std::array<double, 3> kBudgets = {0.1, 1, 7};

  StreamFacts facts;
  detect::WatchConfig watch;  ///< proposed; hard limits are left open
  std::string reason;         ///< why this detector
  std::optional<double> min;  ///< to be thought about: the range seen and half as much again
  std::optional<double> max;
  std::array<std::uint64_t, 3> alarms{};  ///< on this file, at each of kBudgets
  bool warm = false;                      ///< the file is long enough for the warm-up
};

/// Proposes settings, tries them at each budget, and draws the middle one into `options.plot`.
/// Errors: those of replay(); bad_config (several value columns).
Result<Tuning> tune(const ReplayOptions& options);

/// The facts, the proposal and a `[[watch]]` table ready for agent.toml.
[[nodiscard]] std::string to_text(const Tuning& tuning, std::string_view name);

}  // namespace lapwing::agent
