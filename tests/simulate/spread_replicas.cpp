// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/spread_replicas.hpp"

#include "hub/rollout/decide.hpp"
#include "tests/simulate/spread_mutants.hpp"

#include <utility>

namespace lapwing::simulate {
namespace {

namespace ro = hub::rollout;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Micros kLook = seconds(30);  ///< of each runner
constexpr Micros kSend = seconds(5);   ///< looks for offers that are due
constexpr Micros kLease = seconds(20);
constexpr Micros kResend = seconds(30);

}  // namespace

SpreadReplicas::SpreadReplicas(SpreadWorld& world, SpreadNetwork& network, SpreadVersions& versions)
    : world_(world), network_(network), versions_(versions) {
  world.rollouts.on_write = [this](bool) { return survives(); };
  world.rollouts.break_compare = world.options.mutant == SpreadMutant::no_compare;
}

void SpreadReplicas::start() {
  const auto count = world_.replicas.size();
  for (std::size_t i = 0; i < count; ++i) {
    world_.events.after(kLook * (static_cast<long>(i) + 1) / static_cast<long>(count),
                        [this, i] { look(i); });
    world_.events.after(kSend, [this, i] { send_due(i); });
    if (world_.options.hostile) plan_death(i);
  }
}

void SpreadReplicas::plan_death(std::size_t at) {
  world_.events.after(world_.random.between(minutes(5), hours(2)), [this, at] {
    die(at);
    plan_death(at);
  });
}
void SpreadReplicas::die(std::size_t at) {
  auto& random = world_.random;
  auto& replica = world_.replicas[at];
  if (!replica.up) return;
  replica.up = false;
  ++replica.life;
  ++world_.outcome.kills;
  for (auto& device : world_.devices) {
    if (!device->online || device->replica != at) continue;
    device->connected(false);
    network_.connect(*device, random.between(seconds(1), seconds(10)));
  }
  world_.events.after(random.between(seconds(20), minutes(2)),
                      [this, at] { world_.replicas[at].up = true; });
}
/// Whether the process that writes survives this point of it.
bool SpreadReplicas::survives() {
  if (!world_.options.hostile || !world_.random.chance(.03)) return true;
  die(writer_);
  return false;
}

/// Its runner looks whether it is the one, and does what is to be done; or falls asleep before it
/// does, for longer than its lease.
void SpreadReplicas::look(std::size_t at) {
  world_.events.after(kLook, [this, at] { look(at); });
  if (!world_.replicas[at].up) return;
  const auto now = world_.events.now();
  if (lease_holder_ != at && now < lease_until_) return;
  lease_holder_ = at;
  lease_until_ = now + kLease;
  const bool sleeps = world_.options.hostile && world_.random.chance(.05);
  for (int i = 0; i < 100; ++i) {
    const auto open = world_.rollouts.open(10).value();
    if (open.empty()) return;
    auto loaded = ro::load(world_.rollouts, world_.targets, open.front()).value();
    if (sleeps) {
      ++world_.outcome.slept;
      const auto life = world_.replicas[at].life;
      world_.events.after(world_.random.between(seconds(25), minutes(10)),
                          [this, at, life, seen = std::move(loaded)]() mutable {
                            if (world_.replicas[at].life == life) step(at, std::move(seen));
                          });
      return;
    }
    if (!step(at, std::move(loaded))) return;
  }
}

/// Whether there is more.
bool SpreadReplicas::step(std::size_t at, ro::Loaded seen) {
  const auto mutant = world_.options.mutant;
  blindfold(seen, mutant, world_);
  auto decision = ro::decide(seen.at(world_.wall()));
  if (!decision.step) return false;
  if (mutant == SpreadMutant::forget_undo) {
    std::erase_if(decision.step->targets, [](const auto& t) { return t.number != kNew; });
  }
  writer_ = at;
  const auto kept = world_.rollouts.step(*decision.step);
  if (!kept) return false;  // it died; the next looks at what is kept
  if (!*kept) ++world_.outcome.overtaken;
  return *kept && decision.more && mutant != SpreadMutant::forget_undo;
}

/// Offers whose devices have not answered them, through this replica.
void SpreadReplicas::send_due(std::size_t at) {
  world_.events.after(kSend, [this, at] { send_due(at); });
  if (!world_.replicas[at].up) return;
  for (auto& device : world_.devices) {
    if (device->online && device->replica == at) offer(*device);
  }
}
void SpreadReplicas::offer(SpreadDevice& device) {
  const auto* row = world_.targets.find({kTenant, device.name}, kModel);
  if (row == nullptr || row->offer == 0 || row->report.offer >= row->offer) return;
  const auto now = world_.events.now();
  if (device.sent.offer == row->offer && now - device.sent.at < kResend) return;
  device.sent = {row->offer, now};
  wire::Offer offer{.offer = row->offer,
                    .model = kModel,
                    .number = row->target.number,
                    .stage = row->target.stage,
                    .rollout = row->target.rollout,
                    .keys = {},
                    .manifest = {},
                    .assignment = {}};
  if (offer.number != 0) {
    const auto& manifest = versions_.manifest(offer.number);
    offer.manifest = manifest.encode();
    offer.assignment = versions_.assignment(device.name, manifest, world_.wall());
  }
  auto& told =
      offer.stage == wire::ModelStage::active ? device.offered_active : device.offered_shadow;
  told.insert(offer.number);
  network_.carry([&device, offer = std::move(offer)] {
    if (device.online) device.offer(offer);
  });
}

}  // namespace lapwing::simulate
