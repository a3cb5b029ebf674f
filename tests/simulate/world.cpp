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
    : options_(options), random_(options.seed, 0), store_(options.devices) {
  for (std::size_t i = 0; i < options.replicas; ++i) {
    replicas_.push_back(std::make_unique<Replica>(*this, i));
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
    const auto parts =
        static_cast<double>(of_replicas(spell.fault) ? options_.replicas : options_.devices);
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
}

void World::strike(Fault fault) {
  if (calm_) return;
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
    case Fault::restore:
      device.back_up();
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
  auto copy = std::make_unique<Device>(original, devices_.size() + 1);
  copy->start();
  after(random_.between(minutes(1), minutes(15)), [device = copy.get()] { device->retire(); });
  devices_.push_back(std::move(copy));
}

/// People who look at quarantined devices: they find the clone, end it, and release the device.
void World::operate() {
  for (std::size_t name = 0; name < store_.size(); ++name) {
    if (!store_[name].sync.quarantine.empty()) operate_on(name);
  }
  after(kOperator, [this] { operate(); });
}

void World::operate_on(std::size_t name) {
  note(name, "an operator ends its clones and releases it");
  for (std::size_t i = options_.devices; i < devices_.size(); ++i) {
    if (devices_[i]->name() == name) devices_[i]->retire();
  }
  auto state = store_[name].sync;
  sync::release_quarantine(state);
  store_[name].save(state);
}

void World::end_hostilities() {
  calm_ = true;
  levels_.fill(0);
  for (std::size_t i = options_.devices; i < devices_.size(); ++i) devices_[i]->retire();
  for (const auto& device : devices_) device->heal();
  for (const auto& replica : replicas_) replica->heal();
}

// --- what actors ask

Replica* World::replica_for(Random& random) {
  Replica& replica = *replicas_[random.below(replicas_.size())];
  return replica.takes_connections() ? &replica : nullptr;
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
