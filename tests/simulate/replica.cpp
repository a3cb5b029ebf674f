// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/replica.hpp"

#include "tests/simulate/device.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::simulate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kHubQueueMax = 500;  // messages; the hub drops what comes beyond
constexpr std::size_t kMessagesMax = 20;   // of one transaction
constexpr Micros kHop = milliseconds(4);
constexpr Micros kCommit = milliseconds(6);

}  // namespace

Replica::Replica(World& world, std::uint64_t number, std::size_t region)
    : world_(world), region_(region), random_(world.seed(), 3'000'000 + number) {}

void Replica::connect(const std::shared_ptr<Link>& link) {
  auto& session = sessions_[link->name];
  if (session) {  // one client id, one session: the older connection goes, and its will fires
    const auto older = std::exchange(session, nullptr);
    ended(older);
    if (older->device_end) older->device->lost(older);
  }
  sessions_[link->name] = link;
}

void Replica::ended(const std::shared_ptr<Link>& link) {
  if (!std::exchange(link->broker_end, false)) return;
  if (const auto session = sessions_.find(link->name);
      session != sessions_.end() && session->second == link) {
    sessions_.erase(session);
  }
  if (broker_up_) {
    to_hub(link->name, wire::Status{.connection_id = link->id, .online = false});
  }
}

void Replica::take(const std::shared_ptr<Link>& link, Up message) {
  if (!broker_up_ || !link->broker_end || link->silent) return;
  to_hub(link->name, std::move(message));
}

void Replica::kill_broker() {
  world_.count(Fault::broker_kill);
  lose_connections();
}

void Replica::lose_connections() {
  broker_up_ = false;
  for (const auto& [name, link] : std::exchange(sessions_, {})) {
    link->broker_end = false;  // no will: there is nobody to tell
    if (link->device_end && !link->silent) link->device->lost(link);
  }
  world_.after(random_.between(milliseconds(500), seconds(30)), [this] { broker_up_ = true; });
}

void Replica::pass(const std::function<void()>& arrive) {
  ++world_.outcome().messages;
  if (random_.chance(0.3 * world_.level(Fault::drop))) return world_.count(Fault::drop);
  if (random_.chance(0.9 * world_.level(Fault::broker_full))) {
    return world_.count(Fault::broker_full);
  }
  Micros delay = kHop;
  if (const double level = world_.level(Fault::delay); level > 0) {
    delay += Micros(static_cast<std::int64_t>(level * 6e6));
    world_.count(Fault::delay);
  }
  if (random_.chance(world_.level(Fault::reorder))) {
    delay += random_.between(Micros(0), seconds(8));
    world_.count(Fault::reorder);
  }
  world_.after(delay, arrive);
  while (random_.chance(0.5 * world_.level(Fault::duplicate))) {
    const Micros latest = random_.chance(0.02) ? Micros(minutes(60)) : Micros(seconds(5));
    world_.after(delay + random_.between(Micros(0), latest), arrive);
    world_.count(Fault::duplicate);
  }
}

void Replica::to_hub(std::size_t name, const Up& message) {
  const auto shared = std::make_shared<const Up>(message);
  pass([this, name, shared] { received(name, shared); });
}

void Replica::received(std::size_t name, const std::shared_ptr<const Up>& message) {
  if (!hub_up_ || !broker_up_) return;  // a clean session: nobody keeps it
  if (queue_.size() >= kHubQueueMax) return;
  queue_.push_back({name, message});
  work();
}

void Replica::work() {
  if (working_ || queue_.empty()) return;
  working_ = true;
  std::vector<Waiting> batch;
  while (!queue_.empty() && batch.size() < kMessagesMax) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (world_.is(Mutant::ack_before_commit)) {
    for (const auto& [name, message] : batch) {
      const auto* records = std::get_if<wire::RecordBatch>(message.get());
      if (records == nullptr) continue;
      const auto decision = sync::on_batch(rows(name).sync, *records);
      if (decision.ack) answer(name, *decision.ack);
    }
  }
  Micros takes = kCommit;
  if (world_.level(Fault::slow_hub) > 0) {
    takes *= 100;
    world_.count(Fault::slow_hub);
  }
  world_.after(takes, [this, life = life_, batch = std::move(batch)] {
    if (life == life_) commit(batch);
  });
}

void Replica::commit(std::vector<Waiting> batch) {
  working_ = false;
  if (dies_ == Death::before_commit) {
    world_.count(Fault::hub_kill);
    return die();
  }
  if (world_.level(Fault::store_down) > 0) {  // no answer: devices send again
    world_.count(Fault::store_down);
    working_ = true;
    world_.after(seconds(1), [this, life = life_] {
      if (life != life_) return;
      working_ = false;
      work();
    });
    return;
  }
  std::vector<Answer> answers;
  for (const auto& [name, message] : batch) {
    std::visit([&, who = name](const auto& what) { handle(who, what, answers); }, *message);
  }
  if (dies_ == Death::after_commit) {
    world_.count(Fault::hub_kill);
    return die();
  }
  for (auto& one : answers) answer(one.name, std::move(one.message));
  work();
}

void Replica::handle(std::size_t name, const wire::Hello& hello, std::vector<Answer>& answers) {
  DeviceRows& rows = this->rows(name);
  const bool trusting = world_.is(Mutant::trust_restored);
  const auto at_acked = rows.hash(rows.sync.epoch, hello.acked_seq);
  const auto at_newest = rows.hash(rows.sync.epoch, sync::newest_seq(rows.sync));
  const auto at_check = rows.hash(rows.sync.epoch, hello.check_seq);
  wire::Hello said = hello;
  if (trusting) {
    said.next_seq = std::max(said.next_seq, sync::newest_seq(rows.sync) + 1);
    said.forked = false;
  }
  if (world_.is(Mutant::elsewhere_trusted)) {
    std::erase_if(said.regions, [this](const wire::RegionMark& mark) {
      return mark.region == world_.region(region_).number;
    });
    said.regions.push_back({wire::kRegionLast, 0});
  }
  auto decision = sync::on_hello(
      rows.sync, said,
      trusting
          ? sync::StoredHashes{}
          : sync::StoredHashes{.at_acked = at_acked, .at_newest = at_newest, .at_check = at_check},
      {}, wall(), world_.region(region_));
  const bool grants = decision.welcome.outcome == wire::HelloOutcome::new_epoch &&
                      decision.state.epoch != rows.sync.epoch;
  if (grants && world_.is(Mutant::region_blind)) {
    decision.state.epoch = decision.welcome.epoch = std::max(rows.sync.epoch, hello.epoch) + 1;
  }
  if (grants) world_.granted(region_, name, decision.state.epoch);
  if (decision.elsewhere_last > 0) {
    auto& epoch = rows.epochs[decision.state.epoch];
    for (auto seq = decision.elsewhere_first; seq <= decision.elsewhere_last; ++seq) {
      if (epoch.has(seq) && !world_.is(Mutant::elsewhere_twice)) continue;
      ++epoch.elsewhere;
      if (!epoch.has(seq)) world_.counted_elsewhere(region_, name, decision.state.epoch, seq);
    }
  }
  const bool was_quarantined = !rows.sync.quarantine.empty();
  if (grants && !decision.alert.empty()) ++world_.outcome().epochs;
  rows.save(decision.state);
  if (!decision.state.quarantine.empty()) {
    if (!was_quarantined) ++world_.outcome().quarantines;
    rows.online = false;
  } else if (decision.answer) {
    rows.online = true;
  }
  if (world_.tracing()) {
    world_.note(name,
                "hub " + std::to_string(region_) + ": hello of " + hello.connection_id + " epoch " +
                    std::to_string(hello.epoch) + " next " + std::to_string(hello.next_seq) +
                    " acked " + std::to_string(hello.acked_seq) + " -> epoch " +
                    std::to_string(decision.welcome.epoch) + " watermark " +
                    std::to_string(decision.welcome.watermark) + " " + decision.welcome.reason);
  }
  if (decision.answer) answers.push_back({name, decision.welcome});
}

void Replica::handle(std::size_t name, const wire::RecordBatch& batch,
                     std::vector<Answer>& answers) {
  DeviceRows& rows = this->rows(name);
  auto decision = sync::on_batch(rows.sync, batch);
  if (world_.is(Mutant::take_gaps) && decision.verdict == sync::BatchVerdict::gap) {
    decision.verdict = sync::BatchVerdict::accept;
    decision.first_seq = batch.entries.front().seq;
    decision.watermark = batch.entries.back().seq_last;
    decision.ack->watermark = decision.watermark;
  }
  const bool forgetful = world_.is(Mutant::forget_keys);
  if (decision.verdict == sync::BatchVerdict::accept ||
      (forgetful && decision.verdict == sync::BatchVerdict::duplicate)) {
    const std::size_t first = forgetful ? 0 : decision.first_entry;
    for (std::size_t i = first; i < batch.entries.size(); ++i) {
      put(name, batch.epoch, batch.entries[i], decision.first_seq);
    }
    auto state = rows.sync;
    state.watermark = std::max(state.watermark, decision.watermark);
    rows.save(state);
  }
  if (world_.tracing() && !batch.entries.empty()) {
    world_.note(name, "hub " + std::to_string(region_) + ": batch " +
                          std::to_string(batch.entries.front().seq) + ".." +
                          std::to_string(batch.entries.back().seq_last) + " of " +
                          batch.connection_id + ", watermark now " +
                          std::to_string(rows.sync.watermark));
  }
  if (decision.ack && !world_.is(Mutant::ack_before_commit)) {
    answers.push_back({name, *decision.ack});
  }
}

void Replica::handle(std::size_t name, const LiveCopy& copy, std::vector<Answer>&) {
  DeviceRows& rows = this->rows(name);
  const auto wanted = sync::on_live(rows.sync, copy.batch);
  if (wanted.empty()) return;
  for (const std::size_t i : wanted) put(name, copy.batch.epoch, copy.batch.entries[i], 0);
  auto state = rows.sync;
  state.live_through = std::max(state.live_through, copy.batch.entries[wanted.back()].seq);
  rows.save(state);
}

void Replica::handle(std::size_t name, const wire::Status& status, std::vector<Answer>& answers) {
  DeviceRows& rows = this->rows(name);
  const auto decision = sync::on_status(rows.sync, status);
  if (decision.ack) answers.push_back({name, *decision.ack});
  if (!decision.current && !world_.is(Mutant::any_will)) return;
  rows.online = status.online;
  if (status.online) return;
  world_.claim(!world_.connected(name, rows.sync.connection_id), name,
               "marked offline by the will of " + status.connection_id + " while connected as " +
                   rows.sync.connection_id);
}

void Replica::put(std::size_t name, std::uint64_t epoch, const wire::RecordEntry& entry,
                  std::uint64_t first_seq) {
  const auto wrong = rows(name).put(epoch, entry, first_seq, world_.is(Mutant::forget_keys));
  world_.claim(wrong.empty(), name, wrong);
}

void Replica::answer(std::size_t name, Down message) {
  pass([this, name, message = std::move(message)] {
    const auto session = sessions_.find(name);
    if (!broker_up_ || session == sessions_.end()) return;
    const auto link = session->second;  // the device may end the connection in between
    if (link->device_end && !link->silent) link->device->hear(link, message);
  });
}

void Replica::kill_hub(Death death) {
  if (!hub_up_) return;
  if (death == Death::now) {
    world_.count(Fault::hub_kill);
    die();
  } else {
    dies_ = death;
  }
}

void Replica::restart() {
  if (broker_up_) lose_connections();
  if (hub_up_) die();
}

void Replica::die() {
  hub_up_ = false;
  dies_.reset();
  working_ = false;
  ++life_;
  queue_.clear();
  world_.after(random_.between(milliseconds(500), seconds(20)), [this] {
    hub_up_ = true;
    greet();
  });
}

void Replica::greet() {
  for (const auto& [name, link] : sessions_) {
    const auto& state = rows(name).sync;
    if (state.epoch == 0 || !state.quarantine.empty()) continue;
    answer(name, wire::Ack{.epoch = state.epoch,
                           .watermark = state.watermark,
                           .connection_id = state.connection_id,
                           .standing = true});
  }
}

void Replica::heal() { dies_.reset(); }

Time Replica::wall() const {
  return Time(std::chrono::hours(500'000)) + (world_.now() - Ticks{}) + wall_offset_;
}

}  // namespace lapwing::simulate
