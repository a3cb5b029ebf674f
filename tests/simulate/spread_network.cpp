// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_network.hpp"

#include <utility>

namespace lapwing::simulate {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace

SpreadNetwork::SpreadNetwork(SpreadWorld& world, const SpreadVersions& versions)
    : world_(world), versions_(versions) {
  world.at_devices.fetch = [this](SpreadDevice& d, wire::Fetch f) { fetched(d, std::move(f)); };
  world.at_devices.report = [this](SpreadDevice& d, const QueuedReport& r) { reported(d, r); };
}

void SpreadNetwork::carry(std::function<void()> arrive) {
  const bool hostile = world_.options.hostile;
  auto& random = world_.random;
  ++world_.outcome.messages;
  if (hostile && random.chance(.03)) {
    ++world_.outcome.lost;
    return;
  }
  const auto late = hostile && random.chance(.02) ? seconds(40) : seconds(2);
  if (hostile && random.chance(.03)) {
    ++world_.outcome.doubled;
    world_.events.after(random.between(milliseconds(20), late), arrive);
  }
  world_.events.after(random.between(milliseconds(20), late), std::move(arrive));
}

void SpreadNetwork::connect(SpreadDevice& device, Micros delay) {
  if (device.silent) return;
  world_.events.after(delay, [this, &device] {
    if (device.online || !device.alive()) return;
    const auto at = static_cast<std::size_t>(world_.random.below(world_.replicas.size()));
    if (!world_.replicas[at].up) return connect(device, seconds(3));
    device.replica = at;
    device.sent = {};
    device.connected(true);
  });
}

void SpreadNetwork::trouble(SpreadDevice& device) {
  world_.events.after(world_.random.between(minutes(10), hours(20)), [this, &device] {
    auto& random = world_.random;
    if (random.chance(.05)) {
      const auto down = random.between(seconds(2), minutes(2));
      device.kill(down);
      connect(device, down + seconds(2));
    } else if (device.online) {
      device.connected(false);
      connect(device, random.between(seconds(1), minutes(8)));
    }
    trouble(device);
  });
  watch(device);
}
/// A process that died of itself comes back to the network too.
void SpreadNetwork::watch(SpreadDevice& device) {
  if (watched_.insert(&device).second) again(device);
}
void SpreadNetwork::again(SpreadDevice& device) {
  world_.events.after(seconds(60), [this, &device] {
    if (!device.online) connect(device, world_.random.between(Micros(0), seconds(5)));
    again(device);
  });
}

void SpreadNetwork::fetched(SpreadDevice& device, wire::Fetch wanted) {
  carry([this, &device, wanted = std::move(wanted)] {
    if (!device.online) return;
    carry([&device, chunk = versions_.chunk(wanted)] {
      if (device.online) device.chunk(chunk);
    });
  });
}

void SpreadNetwork::reported(SpreadDevice& device, const QueuedReport& queued) {
  carry([this, &device, queued] {
    if (device.silent || !world_.replicas[device.replica].up) return;
    if (queued.seq > device.heard) {
      device.heard = queued.seq;
      world_.targets.report({kTenant, device.name}, queued.report, world_.wall());
    }
    carry([&device, seq = device.heard] {
      if (device.alive()) device.acknowledge(seq);
    });
  });
}

}  // namespace lapwing::simulate
