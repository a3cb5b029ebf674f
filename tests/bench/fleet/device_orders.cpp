// SPDX-License-Identifier: Apache-2.0
/// What the protocol's core orders a device to do.
#include "shared/wire/codec.hpp"
#include "tests/bench/fleet/device.hpp"

#include <cstdio>
#include <utility>
#include <variant>

namespace lapwing::fleet {

void Device::carry_out(sync::Actions actions, Ticks now) {
  for (std::size_t i = 0; i < actions.size(); ++i) {
    auto more = std::visit([&](const auto& one) { return perform(one, now); }, actions[i]);
    actions.insert(actions.end(), more.begin(), more.end());
  }
}

sync::Actions Device::perform(const sync::SendHello& greeting, Ticks now) {
  if (shared_.plan.broker_only) {
    const wire::Welcome own{.connection_id = connection_id_,
                            .outcome = wire::HelloOutcome::new_epoch,
                            .epoch = epoch_ + 1,
                            .watermark = acked_};
    auto actions = agent_.welcomed(own, {}, now);
    note_streaming(now);
    return actions;
  }
  wire::Hello hello;
  hello.connection_id = connection_id_;
  hello.instance_id = instance_id_;
  hello.database_id = shared_.members.database_id(index_);
  hello.epoch = epoch_;
  hello.next_seq = next_seq_;
  hello.acked_seq = acked_;
  if (acked_ > 0) hello.acked_hash = shared_.records.hash(index_, acked_);
  hello.agent_version = kFleetVersion;
  hello.sent = lapwing::now();
  hello.forked = greeting.forked;
  hello.check_seq = greeting.check_seq;
  hello.check_hash = greeting.check_hash;
  publish(wire::Channel::hello, wire::encode(hello));
  return {};
}

wire::RecordBatch Device::batch(std::uint64_t from, std::uint64_t through,
                                std::uint32_t records_max, std::uint32_t bytes_max,
                                std::size_t& bytes) const {
  wire::RecordBatch batch{epoch_, connection_id_, {}};
  for (std::uint64_t seq = from; seq <= through && batch.entries.size() < records_max; ++seq) {
    auto entry = shared_.records.entry(index_, seq);
    if (bytes + entry.payload.size() > bytes_max && bytes != 0) break;
    bytes += entry.payload.size();
    batch.entries.push_back(std::move(entry));
  }
  return batch;
}

sync::Actions Device::perform(const sync::SendBatch& send, Ticks now) {
  std::size_t bytes = 0;
  std::uint64_t through = send.from_seq - 1;
  const auto made = batch(send.from_seq, next_seq_ - 1, send.records_max, send.bytes_max, bytes);
  const std::uint64_t last = through + made.entries.size();
  if (!made.entries.empty() && publish(wire::Channel::records, wire::encode(made), last)) {
    through = last;
    ++meters_.batches;
    meters_.records += made.entries.size();
    if (shared_.plan.saturate && (sent_.empty() || sent_.back().first < last)) {
      sent_.emplace_back(last, now);
    }
  }
  return agent_.sent(through, bytes, now);
}

sync::Actions Device::perform(const sync::SendLive& send, Ticks now) {
  std::uint64_t from = send.from_seq;
  for (std::size_t i = 0; i < send.messages_max && from <= send.through; ++i) {
    std::size_t bytes = 0;
    const auto made = batch(from, send.through, send.records_max, send.bytes_max, bytes);
    if (made.entries.empty() || !publish(wire::Channel::report, wire::encode(made))) break;
    from += made.entries.size();
    ++meters_.live;
    agent_.sent_live(bytes, now);
  }
  return {};
}

sync::Actions Device::perform(const sync::DeleteThrough& done, Ticks now) {
  if (done.seq > acked_) acknowledged(done.seq, now);
  return {};
}

sync::Actions Device::perform(const sync::AdoptEpoch& grant, Ticks now) {
  if (epoch_ != 0) ++meters_.new_epochs;
  epoch_ = grant.epoch;
  if (grant.watermark > acked_) {
    acknowledged(grant.watermark, now);
  } else {
    meters_.acked += static_cast<std::int64_t>(grant.watermark) - static_cast<std::int64_t>(acked_);
    acked_ = grant.watermark;
  }
  return {};
}

sync::Actions Device::perform(const sync::ArmTimer& timer, Ticks) {
  timer_ = timer.at;
  return {};
}

sync::Actions Device::perform(const sync::Reconnect& again, Ticks now) {
  lost(now, {Errc::io, again.reason});
  return {};
}

sync::Actions Device::perform(const sync::Halted& halt, Ticks) {
  if (!halted_ && meters_.halted.fetch_add(1) < 5) {
    std::fprintf(stderr, "%s halted: %s\n", wire::to_string(identity_).c_str(),
                 halt.reason.c_str());
  }
  halted_ = true;
  return {};
}

void Device::send_status(bool online, Ticks now) {
  if (!shared_.plan.broker_only && phase_ == Phase::online) {
    wire::Status status;
    status.connection_id = connection_id_;
    status.online = online;
    status.agent_version = kFleetVersion;
    status.started = shared_.members.made;
    status.sent = lapwing::now();
    status.streams = shared_.plan.burst;
    status.readings_total = next_seq_ * 10;
    status.outbox_records = next_seq_ - 1 - acked_;
    status.produced_seq = next_seq_ - 1;
    publish(wire::Channel::status, wire::encode(status));
  }
  next_status_ = now + shared_.plan.status_interval;
}

}  // namespace lapwing::fleet
