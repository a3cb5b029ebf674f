// SPDX-License-Identifier: Apache-2.0
/// What goes wrong, and when: a seed's schedule of spells, which overlap.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "tests/simulate/random.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::simulate {

enum class Fault : std::uint8_t {
  drop,
  duplicate,
  delay,
  reorder,
  partition,
  half_open,
  agent_kill,
  hub_kill,
  broker_kill,
  broker_full,
  slow_hub,
  store_down,
  lost_write,
  torn_write,
  row_flip,
  log_flip,
  disk_full,
  sync_error,
  restore,
  clone,
  clock_jump,
  late_will,
  region_part,
  region_cut,
  region_move,
  store_restore,
};
inline constexpr std::size_t kFaults = 26;

struct FaultKind {
  std::string_view name;
  std::string_view what;
  bool event;     ///< happens to one part at an instant; else lasts for the spell
  double hourly;  ///< of an event: times in an hour of a spell, per device or replica
};
extern const std::array<FaultKind, kFaults> kFaultKinds;

using FaultSet = std::bitset<kFaults>;
using FaultCounts = std::array<std::uint64_t, kFaults>;

[[nodiscard]] constexpr std::size_t index(Fault fault) { return static_cast<std::size_t>(fault); }
[[nodiscard]] std::string_view name(Fault fault);
/// `drop,late_will`; `all`. Errors: bad_input, with what there is.
[[nodiscard]] Result<FaultSet> parse_faults(std::string_view text);
[[nodiscard]] std::string to_string(const FaultSet& faults);

/// A fault is about from `begin` to `end`; `strength` in (0, 1].
struct Spell {
  Fault fault = Fault::drop;
  Ticks begin{};
  Ticks end{};
  double strength = 1;
};

/// Two to nine spells of all kinds; those not in `enabled` are left out, the others stay as they
/// are.
[[nodiscard]] std::vector<Spell> draw_schedule(Random& random, Ticks begin, Ticks end,
                                               const FaultSet& enabled);

}  // namespace lapwing::simulate
