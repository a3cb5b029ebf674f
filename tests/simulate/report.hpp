// SPDX-License-Identifier: Apache-2.0
/// Many seeds, and what people read of them.
#pragma once

#include "tests/simulate/world.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace lapwing::simulate {

struct Failure {
  std::uint64_t seed = 0;
  std::vector<std::string> problems;
};

/// Sums over seeds.
struct Totals {
  std::uint64_t seeds = 0;
  Outcome sum;          ///< problems and trace: unused; recovery: the slowest
  Micros simulated{0};  ///< device time
  double seconds = 0;   ///< of the machine, one after the other
  std::vector<Failure> failures;
};

/// Runs `first`..`last`, on as many threads as `jobs`; each world has one. Ends early after
/// `failures_max` failures. Shows progress on stderr where that is a terminal.
Totals run_seeds(const WorldOptions& options, std::uint64_t first, std::uint64_t last,
                 unsigned jobs, std::size_t failures_max);

/// The same failure with as few devices and kinds of faults as still show it.
WorldOptions shrink(WorldOptions options);

/// `tests/simulate/run.sh --seeds 17..17 …`: what repeats a run.
[[nodiscard]] std::string command(const WorldOptions& options);

void print(std::ostream& out, const Totals& totals);
/// Problems, the command that repeats the smallest run with them, and its last events.
void print_failure(std::ostream& out, const WorldOptions& options, const Failure& failure);

}  // namespace lapwing::simulate
