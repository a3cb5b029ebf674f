// SPDX-License-Identifier: Apache-2.0
// What agent/uplink does: carries the protocol's actions out.
#include "tests/simulate/device.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace lapwing::simulate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Micros kStatus = seconds(60);
constexpr Micros kForgetWithin = milliseconds(200);

}  // namespace

void Device::connect() {
  if (link_) return;
  const bool parted = world_.now() < std::max(parted_until_, region_parted_until_[region_]);
  Replica* const replica = parted ? nullptr : world_.replica_for(random_, region_);
  if (replica == nullptr) {
    if (random_.chance(0.3)) region_ = (region_ + 1) % world_.regions();
    later(random_.between(seconds(1), seconds(10)), &Device::connect);
    return;
  }
  link_ = std::make_shared<Link>(Link{.name = name_,
                                      .id = sync::connection_id(++connections_, instance_),
                                      .device = this,
                                      .replica = replica});
  replica->connect(link_);
  carry_out(agent_->connected(link_->id, world_.now()));
  later(kStatus, &Device::report);
}

void Device::report() {
  if (!link_) return;
  publish(wire::Status{.connection_id = link_->id, .online = true});
  later(kStatus, &Device::report);
}

/// The device's end is gone; the broker finds out later.
void Device::drop_link(Micros noticed_after) {
  const auto link = std::exchange(link_, nullptr);
  link->device_end = false;
  world_.after(noticed_after, [link] { link->replica->ended(link); });
}

void Device::disconnected() {
  ++timer_;
  carry_out(agent_->disconnected());
  later(random_.between(milliseconds(500), seconds(8)), &Device::connect);
}

void Device::lost(const std::shared_ptr<Link>& link) {
  if (link_ != link) return;
  drop_link(Micros(0));
  disconnected();
}

void Device::reconnect() {
  world_.after(Micros(0), [this, link = link_] {
    if (link) lost(link);
  });
}

void Device::hear(const std::shared_ptr<Link>& link, const Down& message) {
  if (link_ != link || !agent_) return;
  if (const auto* ack = std::get_if<wire::Ack>(&message)) {
    carry_out(agent_->acked(*ack, world_.now()));
    return;
  }
  const auto& welcome = std::get<wire::Welcome>(message);
  sync::OwnRecord own;
  if (welcome.known_seq > disk_.position().acked_seq && welcome.known_seq < visible_ &&
      !world_.is(Mutant::trust_restored)) {
    own = disk_.own_at(welcome.known_seq);
  }
  if (world_.is(Mutant::trust_restored) && welcome.watermark >= visible_) {
    wire::Welcome cut = welcome;
    cut.watermark = visible_ - 1;
    carry_out(agent_->welcomed(cut, own, world_.now()));
    return;
  }
  carry_out(agent_->welcomed(welcome, own, world_.now()));
}

void Device::publish(Up message) {
  if (link_) link_->replica->take(link_, std::move(message));
}

void Device::carry_out(sync::Actions actions) {
  not_kept_ = false;
  for (std::size_t i = 0; i < actions.size() && !not_kept_; ++i) {
    const auto more = std::visit([this](const auto& one) { return perform(one); }, actions[i]);
    actions.insert(actions.end(), more.begin(), more.end());
  }
}

sync::Actions Device::perform(const sync::SendHello& greeting) {
  if (!link_) return {};
  const Position& at = disk_.position();
  publish(wire::Hello{.connection_id = link_->id,
                      .instance_id = instance_,
                      .database_id = "db" + std::to_string(at.database),
                      .epoch = at.epoch,
                      .next_seq = visible_,
                      .acked_seq = at.acked_seq,
                      .acked_hash = at.acked_hash,
                      .forked = greeting.forked,
                      .check_seq = greeting.check_seq,
                      .check_hash = greeting.check_hash,
                      .regions = at.regions});
  return {};
}

sync::Actions Device::perform(const sync::SendBatch& send) {
  auto entries = disk_.read(send.from_seq, visible_, send.records_max);
  const auto through = entries.empty() || !link_ ? 0 : entries.back().seq_last;
  const std::size_t bytes = entries.size() * 100;
  if (through > 0) {
    publish(wire::RecordBatch{agent_->epoch(), link_->id, std::move(entries)});
    if (world_.is(Mutant::delete_on_send)) forget_ = std::max(forget_, through);
  }
  return agent_->sent(through, bytes, world_.now());
}

sync::Actions Device::perform(const sync::SendLive& send) {
  std::uint64_t from = send.from_seq;
  for (std::size_t i = 0; i < send.messages_max && from <= send.through && link_; ++i) {
    auto entries = disk_.read(from, visible_, send.records_max);
    if (entries.empty()) break;
    from = entries.back().seq_last + 1;
    agent_->sent_live(entries.size() * 100, world_.now());
    publish(LiveCopy{wire::RecordBatch{agent_->epoch(), link_->id, std::move(entries)}});
  }
  return {};
}

sync::Actions Device::perform(const sync::DeleteThrough& done) {
  const std::size_t region = world_.region_index(done.region);
  world_.claim(world_.rows(region, name_).holds(agent_->epoch(), done.seq), name_,
               "the agent may delete through " + std::to_string(done.seq) + " of epoch " +
                   std::to_string(agent_->epoch()) + ", which the hub has not committed");
  const std::uint64_t known = std::max(disk_.position().acked_seq, forget_);
  for (const auto& entry : disk_.read(known + 1, done.seq + 1, Disk::kRowsMax)) {
    if (entry.record_class != wire::RecordClass::loss && entry.seq <= done.seq) {
      acknowledged_.push_back(std::stoull(entry.payload));
    }
  }
  forget_ = std::max(forget_, done.seq);
  remember(forget_marks_, {done.region, done.seq});
  later(kForgetWithin, &Device::commit);
  return {};
}

sync::Actions Device::perform(const sync::AdoptEpoch& grant) {
  if (world_.now() < disk_full_until_ || stage_ != Stage::idle) {
    not_kept_ = true;  // nothing may be sent under an epoch that is not durable
    reconnect();
    return {};
  }
  Change change;
  change.adopt = grant;
  forget_ = 0;
  forget_marks_.clear();
  apply(change);
  disk_.write_mark();
  return {};
}

sync::Actions Device::perform(const sync::ArmTimer& timer) {
  const std::uint64_t which = ++timer_;
  world_.after(timer.at - world_.now(), [this, which, life = life_] {
    if (life == life_ && which == timer_) carry_out(agent_->timer(world_.now()));
  });
  return {};
}

sync::Actions Device::perform(const sync::Reconnect&) {
  reconnect();
  return {};
}

sync::Actions Device::perform(const sync::Halted&) { return {}; }

}  // namespace lapwing::simulate
