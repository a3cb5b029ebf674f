// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/world.hpp"

#include "tests/simulate/device.hpp"
#include "tests/simulate/replica.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapwing::simulate {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kProblemsMax = 5;
constexpr Micros kOperator = minutes(2);  // until one looks at a quarantined device

bool of_replicas(Fault fault) {
  return fault == Fault::hub_kill || fault == Fault::broker_kill || fault == Fault::clock_jump;
}

}  // namespace

World::World(const WorldOptions& options)
    : options_(options), random_(options.seed, 0), granted_(options.devices) {
  stores_.resize(options.seed % 4 == 0 ? 1 : options.regions);
  forfeited_.resize(stores_.size());
  for (auto& store : stores_) store.resize(options.devices);
  for (auto& lost : forfeited_) lost.resize(options.devices);
  for (std::size_t i = 0; i < options.replicas * stores_.size(); ++i) {
    replicas_.push_back(std::make_unique<Replica>(*this, i, i % stores_.size()));
  }
  for (std::size_t i = 0; i < options.devices; ++i) {
    devices_.push_back(std::make_unique<Device>(*this, i, i + 1));
  }
}

World::~World() = default;

Outcome World::run() {
  schedule();
  for (const auto& device : devices_) {
    if (options_.only.value_or(device->name()) == device->name()) {
      device->start();
    } else {
      device->retire();
    }
  }
  operate();
  const Ticks begin = now();
  events_.run_until(begin + options_.hostile);
  end_hostilities();
  const Ticks calm = now();
  while (!delivered() && now() < calm + options_.recovery && outcome_.problems.empty()) {
    events_.run_until(now() + seconds(1));
  }
  outcome_.recovery = now() - calm;
  check();
  outcome_.events = events_.happened();
  outcome_.simulated = (now() - begin) * static_cast<std::int64_t>(options_.devices);
  return std::move(outcome_);
}

// --- faults

void World::schedule() {
  Random random(options_.seed, 1'000'001);
  const Ticks end = now() + options_.hostile;
  spells_ = draw_schedule(random, now(), end, options_.faults);
  for (const Spell& spell : spells_) {
    const FaultKind& kind = kFaultKinds[index(spell.fault)];
    Random own(options_.seed, 2'000'000 + index(spell.fault));
    if (!kind.event) {
      after(spell.begin - now(), [this, fault = spell.fault] { set_level(fault); });
      after(spell.end - now(), [this, fault = spell.fault] { set_level(fault); });
      continue;
    }
    const auto hours = static_cast<double>((spell.end - spell.begin).count()) / 3.6e9;
    const auto parts = static_cast<double>(spell.fault == Fault::store_restore ? regions()
                                           : of_replicas(spell.fault)          ? options_.replicas
                                                                               : options_.devices);
    for (auto left = std::ceil(kind.hourly * hours * parts * spell.strength); left > 0; --left) {
      const Ticks at = spell.begin + own.between(Micros(0), spell.end - spell.begin);
      after(at - now(), [this, fault = spell.fault] { strike(fault); });
    }
  }
}

void World::set_level(Fault fault) {
  double level = 0;
  for (const Spell& spell : spells_) {
    if (spell.fault == fault && spell.begin <= now() && now() < spell.end) {
      level = std::max(level, spell.strength);
    }
  }
  levels_[index(fault)] = level;
  if (fault == Fault::region_cut) cut_region();
}

void World::strike(Fault fault) {
  if (calm_) return;
  if (fault == Fault::store_restore) {
    const std::size_t region = random_.below(regions());
    return after(Micros(0), [this, region] { restore_store(region); });
  }
  if (of_replicas(fault)) {
    Replica& replica = *replicas_[random_.below(replicas_.size())];
    if (fault == Fault::broker_kill) return replica.kill_broker();
    if (fault == Fault::hub_kill) {
      return replica.kill_hub(static_cast<Replica::Death>(random_.below(3)));
    }
    count(fault);
    constexpr std::array<Micros, 4> kJumps = {std::chrono::hours(1), -std::chrono::hours(1),
                                              std::chrono::hours(87'600),
                                              -std::chrono::hours(87'600)};
    return replica.jump_clock(kJumps[random_.below(kJumps.size())]);
  }
  Device& device = *devices_[random_.below(options_.devices)];
  const Micros spell = random_.between(seconds(1), minutes(5));
  if (device.retired()) return;
  switch (fault) {
    case Fault::agent_kill:
      return device.kill();
    case Fault::lost_write:
      return device.cut_power(false);
    case Fault::torn_write:
      return device.cut_power(true);
    case Fault::row_flip:
      return device.flip_rows();
    case Fault::log_flip:
      return device.flip_log();
    case Fault::disk_full:
      return device.fill_disk(spell);
    case Fault::sync_error:
      return device.fail_sync();
    case Fault::partition:
      return device.part(spell);
    case Fault::half_open:
      return device.fall_silent();
    case Fault::late_will:
      return device.leave_late_will();
    case Fault::region_part:
      return device.part_from(random_.below(regions()), spell);
    case Fault::region_move:
      return device.move();
    case Fault::restore:
      device.back_up();
      forked_.insert(device.name());
      return after(random_.between(seconds(10), minutes(10)), [this, &device] {
        if (!calm_) device.restore();
      });
    case Fault::clone:
      return clone(device);
    default:
      return;
  }
}

void World::clone(Device& original) {
  count(Fault::clone);
  note(original.name(), "its disk is cloned");
  forked_.insert(original.name());
  auto copy = std::make_unique<Device>(original, devices_.size() + 1);
  copy->start();
  after(random_.between(minutes(1), minutes(15)), [device = copy.get()] { device->retire(); });
  devices_.push_back(std::move(copy));
}

/// One region for a spell, the other for the next.
void World::cut_region() {
  if (level(Fault::region_cut) == 0 || regions() == 1) {
    cut_.reset();
    return;
  }
  if (cut_) return;
  count(Fault::region_cut);
  cut_ = random_.below(regions());
  for (const auto& device : devices_) device->part_from(*cut_, Micros(0));
}

/// Its newest transactions are gone, the processes and connections with them: a standby that lagged
/// took over, or a backup was put back.
void World::restore_store(std::size_t region) {
  count(Fault::store_restore);
  const auto then = std::make_shared<std::vector<DeviceRows>>(stores_[region]);
  after(random_.between(seconds(1), minutes(3)), [this, region, then] {
    if (calm_) return;
    for (std::size_t name = 0; name < devices(); ++name) {
      const DeviceRows& now = stores_[region][name];
      const DeviceRows& old = (*then)[name];
      Forfeited& lost = forfeited_[region][name];
      for (const auto& [number, epoch] : now.epochs) {
        for (const auto& [seq, content] : epoch.rows) {
          if (!old.has(number, seq)) lost.keys.emplace(number, seq);
        }
        for (const auto& [seq, reason] : epoch.lost) {
          if (!old.has(number, seq)) lost.keys.emplace(number, seq);
        }
      }
      for (const auto& [content, times] : now.stored) {
        if (!old.stored.contains(content)) lost.contents.insert(content);
      }
      note(name, "the database of region " + std::to_string(region) + " is as it once was");
    }
    stores_[region] = *then;
    for (const auto& replica : replicas_) {
      if (replica->region() == region) replica->restart();
    }
  });
}

void World::granted(std::size_t region, std::size_t name, std::uint64_t epoch) {
  const auto [at, fresh] = granted_[name].try_emplace(epoch, region);
  claim(at->second == region, name,
        "I6: epoch " + std::to_string(epoch) + " was granted by two regions");
}

void World::counted_elsewhere(std::size_t region, std::size_t name, std::uint64_t epoch,
                              std::uint64_t seq) {
  for (std::size_t other = 0; other < regions(); ++other) {
    if (other == region) continue;
    if (stores_[other][name].has(epoch, seq)) return;
    if (forfeited_[other][name].keys.contains({epoch, seq})) return;
  }
  claim(false, name,
        "I6: number " + std::to_string(seq) + " of epoch " + std::to_string(epoch) +
            " counts as elsewhere, and is nowhere");
}

/// People who look at quarantined devices: they find the clone, end it, and release the device.
void World::operate() {
  for (std::size_t name = 0; name < devices(); ++name) {
    const bool held = std::ranges::any_of(
        stores_, [name](const auto& store) { return !store[name].sync.quarantine.empty(); });
    if (held) operate_on(name);
  }
  after(kOperator, [this] { operate(); });
}

void World::operate_on(std::size_t name) {
  note(name, "an operator ends its clones and releases it");
  for (std::size_t i = options_.devices; i < devices_.size(); ++i) {
    if (devices_[i]->name() == name) devices_[i]->retire();
  }
  for (auto& store : stores_) {
    auto state = store[name].sync;
    if (state.quarantine.empty()) continue;
    sync::release_quarantine(state);
    store[name].save(state);
  }
}

void World::end_hostilities() {
  calm_ = true;
  levels_.fill(0);
  cut_.reset();
  for (std::size_t i = options_.devices; i < devices_.size(); ++i) devices_[i]->retire();
  for (const auto& device : devices_) device->heal();
  for (const auto& replica : replicas_) replica->heal();
}

// --- what actors ask

Replica* World::replica_for(Random& random, std::size_t region) {
  Replica& replica = *replicas_[random.below(options_.replicas) * regions() + region];
  return replica.takes_connections() && cut_ != region ? &replica : nullptr;
}

bool World::connected(std::size_t name, const std::string& connection_id) const {
  return std::ranges::any_of(devices_, [&](const auto& device) {
    return device->name() == name && device->uses(connection_id);
  });
}

void World::claim(bool holds, std::size_t name, const std::string& what) {
  if (holds || outcome_.problems.size() >= kProblemsMax) return;
  if (outcome_.problems.empty()) outcome_.device = name;
  outcome_.problems.push_back("device " + std::to_string(name) + ": " + what);
  note(name, "PROBLEM: " + what);
}

void World::note(std::size_t name, const std::string& what) {
  if (options_.trace == 0) return;
  char at[32];
  std::snprintf(at, sizeof at, "%10.3f s  ",
                static_cast<double>(now().time_since_epoch().count()) / 1e6);
  outcome_.trace.push_back(at + ("device " + std::to_string(name)) + "  " + what);
  if (outcome_.trace.size() > options_.trace) outcome_.trace.pop_front();
}

}  // namespace lapwing::simulate
