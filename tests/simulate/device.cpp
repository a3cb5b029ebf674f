// SPDX-License-Identifier: Apache-2.0
#include "tests/simulate/device.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::simulate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kBurst = 300;     // records at once, at most
constexpr std::size_t kQueueMax = 200;  // records that wait for a commit
constexpr Micros kSync = milliseconds(3);
constexpr Micros kRetry = milliseconds(500);
constexpr Micros kKeepAlive = seconds(30);

sync::AgentLimits limits_of(Random& random) {
  sync::AgentLimits limits;
  limits.batch_records_max = static_cast<std::uint32_t>(5 + random.below(100));
  limits.batches_in_flight_max = 1 + random.below(8);
  limits.live_backlog = 20 + random.below(200);
  limits.pace_bytes_per_second = random.chance(0.2) ? 50'000 : 0;
  return limits;
}

}  // namespace

Device::Device(World& world, std::size_t name, std::uint64_t copy)
    : world_(world),
      name_(name),
      copy_(copy),
      random_(world.seed(), copy),
      disk_(copy),
      next_content_((copy << 32U) + 1),
      limits_(limits_of(random_)),
      region_(random_.below(world.regions())),
      region_parted_until_(world.regions()) {}

Device::Device(const Device& original, std::uint64_t copy)
    : world_(original.world_),
      name_(original.name_),
      copy_(copy),
      random_(original.world_.seed(), copy),
      disk_(original.disk_),
      next_content_((copy << 32U) + 1),
      limits_(original.limits_),
      region_(random_.below(world_.regions())),
      region_parted_until_(world_.regions()) {}

// --- the process

void Device::start() {
  if (running_ || retired_) return;
  running_ = true;
  ++life_;
  disk_.open(!world_.is(Mutant::reuse_numbers));
  const Position& at = disk_.position();
  visible_ = at.next_seq;
  sync::Agent::Position position{at.epoch, at.acked_seq, at.next_seq, {}};
  for (const auto& mark : at.regions) position.regions.push_back(mark.region);
  agent_ = std::make_unique<sync::Agent>(limits_, position, random_.bits());
  instance_ = std::to_string(copy_) + "." + std::to_string(++instances_);
  connections_ = 0;
  if (world_.tracing()) {
    world_.note(name_, "agent " + instance_ + " starts: epoch " + std::to_string(at.epoch) +
                           " acked " + std::to_string(at.acked_seq) + " next " +
                           std::to_string(at.next_seq));
  }
  later(random_.between(milliseconds(100), seconds(3)), &Device::connect);
  later(random_.between(Micros(0), seconds(20)), &Device::produce);
}

void Device::stop() {
  running_ = false;
  ++life_;
  if (link_) drop_link(random_.between(milliseconds(1), milliseconds(50)));  // its system says so
  if (agent_) world_.outcome().resends += agent_->resends();
  agent_.reset();
  queue_.clear();
  given_up_ = forget_ = 0;
  forget_marks_.clear();
  stage_ = Stage::idle;
  change_ = {};
}

void Device::kill() {
  if (!running_) return;
  world_.count(Fault::agent_kill);
  // What was written without a sync may be in the system's hands, or not yet.
  if (stage_ == Stage::writing && random_.chance(0.5)) apply(change_);
  if (stage_ == Stage::marking && random_.chance(0.5)) disk_.write_mark();
  if (world_.tracing()) world_.note(name_, "agent " + instance_ + " is killed");
  go_down(milliseconds(300), seconds(10));
}

void Device::go_down(Micros shortest, Micros longest) {
  stop();
  world_.after(random_.between(shortest, longest), [this] { start(); });
}

void Device::cut_power(bool torn) {
  if (!running_) return;
  cut_ = torn ? Cut::torn : Cut::lost;  // in the next commit, where there is something to lose
  cut_at_ = random_.chance(0.5) ? Stage::writing : Stage::marking;
}

void Device::later(Micros delay, void (Device::*what)()) {
  world_.after(delay, [this, life = life_, what] {
    if (life == life_) (this->*what)();
  });
}

// --- the outbox

void Device::produce() {
  if (world_.calm()) return;
  const bool burst = random_.chance(0.02);
  for (auto left = 1 + random_.below(burst ? kBurst : 5); left > 0; --left) {
    queue_.push_back(next_content_++);
  }
  world_.claim(queue_.size() <= kQueueMax + kBurst, name_, "the outbox's queue has no bound");
  commit();
  later(random_.between(milliseconds(200), seconds(20)), &Device::produce);
}

void Device::commit() {
  if (stage_ != Stage::idle) return;
  if (world_.now() < disk_full_until_) {
    world_.count(Fault::disk_full);
    while (queue_.size() > kQueueMax) {
      queue_.pop_front();
      ++given_up_;
    }
    later(kRetry, &Device::commit);
    return;
  }
  change_ = {.records = {queue_.begin(), queue_.end()},
             .given_up = std::exchange(given_up_, 0),
             .forget = std::exchange(forget_, 0),
             .marks = std::exchange(forget_marks_, {})};
  queue_.clear();
  if (change_.empty()) return;
  stage_ = Stage::writing;
  if (world_.is(Mutant::send_before_sync)) {
    apply(change_);
    visible_ = disk_.position().next_seq;
    carry_out(agent_->committed(visible_, world_.now()));
  }
  later(kSync, &Device::written);
}

void Device::apply(const Change& change) {
  std::uint64_t seq = disk_.position().next_seq;
  for (const Content content : change.records) owed_[content] = seq++;
  world_.outcome().records += change.records.size();
  destroy(disk_.apply(change));
}

void Device::destroy(const std::vector<Content>& contents) {
  for (const Content content : contents) {
    const auto owed = owed_.find(content);
    if (owed == owed_.end()) continue;
    if (owed->second < disk_.promised()) {
      destroyed_.insert(*owed);
      ++world_.outcome().lost;
    }
    owed_.erase(owed);
  }
}

void Device::written() {
  const bool early = world_.is(Mutant::send_before_sync);
  if (cut_ != Cut::none && cut_at_ == Stage::writing) {
    const bool torn = std::exchange(cut_, Cut::none) == Cut::torn;
    world_.count(torn ? Fault::torn_write : Fault::lost_write);
    if (world_.tracing()) world_.note(name_, "power is cut while a commit is written");
    if (early) {
      for (const Content content : disk_.undo(1)) owed_.erase(content);
    } else if (!torn && random_.chance(0.5)) {
      apply(change_);  // all of it had reached the disk
    }
    return go_down(seconds(1), seconds(60));
  }
  if (std::exchange(sync_fails_, false) && !early) {
    // Closed and opened anew; what the database then holds decides.
    world_.count(Fault::sync_error);
    stage_ = Stage::idle;
    if (random_.chance(0.5)) {
      apply(change_);
    } else {
      queue_.insert(queue_.begin(), change_.records.begin(), change_.records.end());
      given_up_ += change_.given_up;
      forget_ = std::max(forget_, change_.forget);
      for (const auto& mark : change_.marks) remember(forget_marks_, mark);
    }
    disk_.open(!world_.is(Mutant::reuse_numbers));
    visible_ = disk_.position().next_seq;
    carry_out(agent_->committed(visible_, world_.now()));
    later(kRetry, &Device::commit);
    return;
  }
  if (!early) apply(change_);
  stage_ = Stage::marking;
  later(kSync, &Device::marked);
}

void Device::marked() {
  if (cut_ != Cut::none && cut_at_ == Stage::marking) {
    const bool torn = std::exchange(cut_, Cut::none) == Cut::torn;
    world_.count(torn ? Fault::torn_write : Fault::lost_write);
    if (world_.tracing()) world_.note(name_, "power is cut while the mark is written");
    if (!torn && random_.chance(0.5)) disk_.write_mark();  // torn: the other slot still holds
    return go_down(seconds(1), seconds(60));
  }
  disk_.write_mark();
  stage_ = Stage::idle;
  visible_ = disk_.position().next_seq;
  carry_out(agent_->committed(visible_, world_.now()));
  if (running_) commit();
}

bool Device::idle() const {
  return running_ && stage_ == Stage::idle && queue_.empty() && given_up_ == 0;
}

// --- what goes bad

void Device::flip_rows() {
  const auto gone = disk_.spoil(random_);
  if (gone.empty()) return;
  world_.count(Fault::row_flip);
  if (world_.tracing()) world_.note(name_, std::to_string(gone.size()) + " rows go bad");
  destroy(gone);
}

void Device::flip_log() {
  if (!running_) return;
  if (world_.tracing()) world_.note(name_, "the log goes bad, and the agent is killed");
  world_.count(Fault::log_flip);
  stop();
  const auto gone = disk_.undo(1 + random_.below(4));
  destroy(gone);
  world_.after(random_.between(milliseconds(300), seconds(10)), [this] { start(); });
}

void Device::fill_disk(Micros how_long) {
  disk_full_until_ = std::max(disk_full_until_, world_.now() + how_long);
}

void Device::back_up() { backup_ = {disk_, owed_, destroyed_}; }

void Device::restore() {
  if (!backup_ || !running_) return;
  world_.count(Fault::restore);
  if (world_.tracing()) world_.note(name_, "a backup is restored");
  stop();
  disk_ = backup_->disk;
  owed_ = backup_->owed;
  destroyed_ = backup_->destroyed;
  world_.after(random_.between(seconds(1), seconds(30)), [this] { start(); });
}

void Device::part(Micros how_long) {
  world_.count(Fault::partition);
  if (world_.tracing()) world_.note(name_, "the network parts");
  parted_until_ = std::max(parted_until_, world_.now() + how_long);
  if (!link_) return;
  const auto link = link_;
  link->silent = true;
  world_.after(random_.between(Micros(0), kKeepAlive), [this, link] { lost(link); });
  world_.after(kKeepAlive * 3 / 2, [link] { link->replica->ended(link); });
}

void Device::fall_silent() {
  if (!link_) return;
  world_.count(Fault::half_open);
  if (world_.tracing()) world_.note(name_, "the connection is half open");
  const auto link = link_;
  link->silent = true;  // found by answers that stay away, or by keep-alive
  world_.after(kKeepAlive * 3 / 2, [this, link] { lost(link); });
  world_.after(kKeepAlive * 3 / 2, [link] { link->replica->ended(link); });
}

void Device::leave_late_will() {
  if (!link_) return;
  world_.count(Fault::late_will);
  drop_link(random_.between(seconds(5), minutes(2)));
  disconnected();
}

void Device::part_from(std::size_t region, Micros how_long) {
  auto& until = region_parted_until_[region];
  until = std::max(until, world_.now() + how_long);
  if (how_long > Micros(0)) world_.count(Fault::region_part);
  if (!link_ || region_ != region) return;
  if (world_.tracing()) world_.note(name_, "its region is out of reach");
  const auto link = link_;
  link->silent = true;
  world_.after(random_.between(Micros(0), kKeepAlive), [this, link] { lost(link); });
  world_.after(kKeepAlive * 3 / 2, [link] { link->replica->ended(link); });
}

void Device::move() {
  if (!link_ || world_.regions() == 1) return;
  world_.count(Fault::region_move);
  if (world_.tracing()) world_.note(name_, "it leaves its region");
  region_ = (region_ + 1) % world_.regions();
  drop_link(random_.between(milliseconds(1), seconds(20)));
  disconnected();
}

void Device::retire() {
  stop();
  retired_ = true;
}

void Device::heal() {
  disk_full_until_ = parted_until_ = world_.now();
  for (auto& until : region_parted_until_) until = world_.now();
  sync_fails_ = false;
  cut_ = Cut::none;
}

std::string Device::state() const {
  const Position& at = disk_.position();
  return std::string(running_ ? "runs" : "is down") + (link_ ? ", connected" : "") + ", epoch " +
         std::to_string(at.epoch) + ", watermark " + std::to_string(watermark()) + " of " +
         std::to_string(at.next_seq - 1) + (idle() ? "" : ", not idle");
}

}  // namespace lapwing::simulate
