// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread.hpp"

#include "hub/rollout/rings.hpp"
#include "tests/simulate/spread_network.hpp"
#include "tests/simulate/spread_oracle.hpp"
#include "tests/simulate/spread_replicas.hpp"
#include "tests/simulate/spread_versions.hpp"
#include "tests/simulate/spread_world.hpp"

#include <memory>
#include <utility>

namespace lapwing::simulate {
namespace {

namespace ro = hub::rollout;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Micros kPatience = hours(48);
constexpr Micros kMutantsPatience = hours(12);
constexpr Micros kAfterwards = hours(1);  ///< what has ended has to stay so

/// One run: the parts put together, and its course.
class Spread {
 public:
  explicit Spread(const SpreadOptions& options) : world_(options) {
    world_.at_devices.old_bytes = versions_.old_bytes();
    world_.at_devices.old = versions_.old();
    for (std::size_t i = 0; i < options.devices; ++i) {
      auto& device = world_.devices.emplace_back(
          std::make_unique<SpreadDevice>(world_.at_devices, i, SpreadVersions::keys()));
      world_.by_name[device->name] = device.get();
    }
    world_.rollouts.is_online = [this](const std::string& name) {
      return world_.by_name.at(name)->online;
    };
  }

  SpreadOutcome run() {
    for (auto& device : world_.devices) {
      device->start();
      network_.connect(*device, world_.random.between(Micros(0), seconds(20)));
      if (world_.options.hostile) network_.trouble(*device);
    }
    replicas_.start();
    auto& events = world_.events;
    events.run_until(events.now() + minutes(5));
    begin();
    const auto begun = events.now();
    const bool sound = world_.options.mutant == SpreadMutant::none;
    const auto patience = sound ? kPatience : kMutantsPatience;
    while (!has_ended(world_.row().state.phase) && events.now() - begun < patience &&
           world_.outcome.problems.size() < SpreadWorld::kProblemsMax) {
      events.run_until(events.now() + minutes(1));
    }
    world_.outcome.took = events.now() - begun;
    const auto ended = world_.row();
    events.run_until(events.now() + kAfterwards);
    oracle_.judge(ended);
    return std::move(world_.outcome);
  }

 private:
  void begin() {
    const auto plan = spread_plan();
    hub::RolloutRow wanted;
    wanted.tenant = kTenant;
    wanted.model = kModel;
    wanted.number = kNew;
    wanted.undo = world_.options.first_model ? 0 : kUndo;
    wanted.plan = ro::write_plan(plan);
    wanted.actor = "person";
    wanted.created_at = world_.wall();
    const auto made = world_.rollouts.add(wanted, [&](std::uint64_t id) {
      std::vector<ro::Candidate> all;
      for (const auto& device : world_.devices) all.push_back({device->name, {}});
      auto members = ro::fill_rings(plan, id, std::move(all));
      oracle_.rings(members);
      return members;
    });
    if (!made) world_.wrong("the rollout does not begin: " + made.error().context);
  }

  SpreadWorld world_;
  SpreadVersions versions_{[this](const std::string& what) { world_.wrong(what); }};
  SpreadNetwork network_{world_, versions_};
  SpreadReplicas replicas_{world_, network_, versions_};
  SpreadOracle oracle_{world_};
};

}  // namespace

ro::Plan spread_plan() {
  ro::Plan plan;
  plan.soak = minutes(30);
  plan.gates.alarms_min = 300;
  // In a small fleet's ring of one, one device that is slow for a moment would be all of them.
  for (auto& ring : plan.rings) ring.devices_min = 5;
  return plan;
}

SpreadOutcome spread(const SpreadOptions& options) { return Spread(options).run(); }

}  // namespace lapwing::simulate
