// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/faults.hpp"

#include <algorithm>

namespace lapwing::simulate {

const std::array<FaultKind, kFaults> kFaultKinds = {{
    {"drop", "a broker loses a message", false, 0},
    {"duplicate", "a message comes again, up to an hour later", false, 0},
    {"delay", "messages take seconds", false, 0},
    {"reorder", "messages overtake each other", false, 0},
    {"partition", "a device reaches no broker", true, 4},
    {"half_open", "a connection is dead and nobody told", true, 4},
    {"agent_kill", "an agent ends at any instant", true, 12},
    {"hub_kill", "a hub ends before, in or after a commit", true, 40},
    {"broker_kill", "a broker ends and forgets", true, 10},
    {"broker_full", "a broker answers success and drops", false, 0},
    {"slow_hub", "a hub takes a hundred times as long", false, 0},
    {"store_down", "no transaction succeeds", false, 0},
    {"lost_write", "power is cut, what was not synced is gone", true, 6},
    {"torn_write", "power is cut in the middle of a write", true, 6},
    {"row_flip", "rows of the outbox become unreadable", true, 4},
    {"log_flip", "the newest commits vanish at the next start", true, 4},
    {"disk_full", "an outbox cannot commit", true, 3},
    {"sync_error", "a sync fails, and nobody knows what it did", true, 6},
    {"restore", "an outbox comes back as it once was", true, 1},
    {"clone", "a second copy of a device runs", true, 1},
    {"clock_jump", "a hub's clock jumps by up to ten years", true, 10},
    {"late_will", "a will fires after the device is back", true, 6},
    {"region_part", "a device cannot reach one region", true, 6},
    {"region_cut", "a region can be reached by nobody", false, 0},
    {"region_move", "a device leaves its region for the other", true, 40},
    {"store_restore", "a region's database comes back as it once was", true, 1},
}};

std::string_view name(Fault fault) { return kFaultKinds[index(fault)].name; }

Result<FaultSet> parse_faults(std::string_view text) {
  FaultSet faults;
  if (text == "all") return faults.set();
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const auto* kind = std::ranges::find(kFaultKinds, one, &FaultKind::name);
    if (kind == kFaultKinds.end()) {
      return Error{Errc::bad_input, "--faults: no fault is called '" + std::string(one) +
                                        "'; there are " + to_string(FaultSet().set())};
    }
    faults.set(static_cast<std::size_t>(kind - kFaultKinds.begin()));
  }
  return faults;
}

std::string to_string(const FaultSet& faults) {
  std::string text;
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (!faults.test(i)) continue;
    if (!text.empty()) text += ',';
    text += kFaultKinds[i].name;
  }
  return text;
}

std::vector<Spell> draw_schedule(Random& random, Ticks begin, Ticks end, const FaultSet& enabled) {
  std::vector<Spell> spells;
  const auto whole = end - begin;
  for (std::uint64_t left = 2 + random.below(8); left > 0; --left) {
    Spell spell{.fault = static_cast<Fault>(random.below(kFaults))};
    spell.begin = begin + random.between(Micros(0), whole * 3 / 4);
    spell.end = std::min(end, spell.begin + random.between(whole / 20, whole / 2));
    spell.strength = 0.1 + 0.9 * random.uniform();
    if (enabled.test(index(spell.fault))) spells.push_back(spell);
  }
  return spells;
}

}  // namespace lapwing::simulate
