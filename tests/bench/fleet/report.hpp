// SPDX-License-Identifier: Apache-2.0
/// What a run came to, for people and for programs.
#pragma once

#include "tests/bench/fleet/check.hpp"
#include "tests/bench/fleet/plan.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lapwing::fleet {

class Loop;

/// The meters of all loops at one time.
struct Reading {
  Ticks at{};
  std::int64_t due = 0;
  std::int64_t acked = 0;
  std::int64_t connected = 0;
  std::int64_t welcomed = 0;
  std::int64_t halted = 0;
  std::uint64_t handshakes = 0;
  std::uint64_t losses = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t live = 0;
  std::uint64_t bytes = 0;
  std::uint64_t resends = 0;
  std::uint64_t refused = 0;
  std::uint64_t new_epochs = 0;
  double cpu_seconds = 0;  ///< of this process
  Counts latency;
  Counts outage;
  Counts connect;
  [[nodiscard]] std::int64_t backlog() const noexcept { return due - acked; }
};
[[nodiscard]] Reading read(const std::vector<std::unique_ptr<Loop>>& loops);

struct Report {
  std::size_t devices = 0;
  double connect_seconds = 0;  ///< from the first attempt to the last welcome
  Reading begin;               ///< of the measured time
  Reading end;
  Reading last;  ///< after draining
  double drain_seconds = 0;
  std::optional<Account> account;
  std::vector<std::string> problems;  ///< empty: all is well
};
[[nodiscard]] std::string as_text(const Report& report);
[[nodiscard]] std::string as_json(const Report& report);
/// One line: what came in between.
[[nodiscard]] std::string progress(const Reading& from, const Reading& to, std::size_t devices);

}  // namespace lapwing::fleet
