// SPDX-License-Identifier: Apache-2.0
/// A whole run: connect, make records on schedule, drain, check, report.
#pragma once

#include "shared/base/result.hpp"
#include "tests/bench/fleet/check.hpp"
#include "tests/bench/fleet/plan.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace lapwing::fleet {

struct RunOptions {
  std::filesystem::path file;  ///< of `bench_fleet prepare`
  std::string host = "localhost";
  std::uint16_t port = 8883;
  std::size_t devices = 0;  ///< the first so many of the file; 0: all
  double rate = 0;          ///< records a second of all devices together; 0: they only connect
  std::size_t threads = 1;
  Plan plan;
  RecordShape shape;
  Micros connect_wait = std::chrono::seconds(120);  ///< for the last device's welcome
  Micros warmup = std::chrono::seconds(2);
  Micros measured = std::chrono::seconds(10);
  Micros drain = std::chrono::seconds(60);
  double drop_share = 0;                        ///< of the devices, in every `drop_every`
  Micros drop_every = std::chrono::seconds(5);  ///< their power fails; they come back
  std::optional<Micros> herd_at;                ///< after the start: all of them at once
  std::optional<LedgerCheck> check;
  std::filesystem::path json;  ///< empty: none
};

/// Prints `phase NAME` lines and the report to stdout, progress to stderr. Errors: denied where the
/// run or the check failed, with the reasons; others could not be run.
Result<void> run(RunOptions options);

}  // namespace lapwing::fleet
