// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/device.hpp"

#include "shared/base/ids.hpp"
#include "shared/sync/hub.hpp"
#include "shared/wire/codec.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace lapwing::fleet {
namespace {

constexpr std::size_t kOpenMax = 64;  // as the uplink's
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kSlowReadBytes = 256;
constexpr Micros kSlowRead = std::chrono::milliseconds(250);
constexpr Micros kDeafLook = std::chrono::seconds(1);  // whether it is to hear again
constexpr std::uint64_t kSlowPace = 64 * 1024;

/// Numbers 0 to 1, the same for a device in every run, spread evenly over the fleet.
double spread(std::size_t index, double factor) {
  double whole = 0;
  return std::modf(static_cast<double>(index) * factor, &whole);
}

/// Slow and deaf ones lie among the others.
Device::Kind kind_of(const Plan& plan, std::size_t index) {
  const double place = spread(index, 0.7548776662466927);  // a low-discrepancy sequence (Roberts)
  if (place < plan.slow_share) return Device::Kind::slow;
  if (place < plan.slow_share + plan.deaf_share) return Device::Kind::deaf;
  return Device::Kind::normal;
}

sync::AgentLimits limits_of(const Plan& plan, Device::Kind kind) {
  auto limits = plan.limits;
  if (kind == Device::Kind::slow) limits.pace_bytes_per_second = kSlowPace;
  return limits;
}

Ticks at(std::int64_t us) { return Ticks(Micros(us)); }

}  // namespace

Device::Device(const Shared& shared, std::size_t index, LoopTools& tools, Meters& meters)
    : shared_(shared),
      index_(index),
      tools_(tools),
      meters_(meters),
      identity_(shared.members.identity(index)),
      kind_(kind_of(shared.plan, index)),
      instance_id_(random_id()),
      agent_(
          limits_of(shared.plan, kind_),
          {shared.members.all[index].position.epoch, shared.members.all[index].position.acked_seq,
           shared.members.all[index].position.next_seq},
          random_u64()),
      backoff_(std::chrono::milliseconds(200), shared.plan.reconnect_max, random_u64()),
      link_(shared.tls, shared.members.all[index].certificate),
      epoch_(shared.members.all[index].position.epoch),
      acked_(shared.members.all[index].position.acked_seq),
      next_seq_(shared.members.all[index].position.next_seq),
      first_seq_(next_seq_),
      phase_share_(spread(index, 0.6180339887498949)) {
  meters_.due += static_cast<std::int64_t>(next_seq_ - 1 - acked_);
}

Position Device::position() const { return {epoch_, acked_, next_seq_}; }

bool Device::deaf() const {
  return kind_ == Kind::deaf && shared_.control.end == 0 && agent_.streaming();
}

Ticks Device::wake_at() const {
  Ticks wake = phase_ == Phase::offline ? connect_at_ : std::min(next_ping_, next_read_);
  if (phase_ == Phase::linking || phase_ == Phase::greeting_broker ||
      phase_ == Phase::subscribing) {
    wake = std::min(wake, linked_since_ + shared_.plan.connect_timeout);
  }
  wake = std::min({wake, next_status_, timer_.value_or(Ticks::max())});
  if (shared_.control.start != 0 && shared_.plan.rate_per_device > 0) {
    const Ticks due = due_at(bursts_);
    if (shared_.control.end == 0 || due < at(shared_.control.end)) wake = std::min(wake, due);
  }
  return wake;
}

// --- the schedule --------------------------------------------------------------------------------

Ticks Device::due_at(std::uint64_t burst) const {
  const double period = shared_.plan.burst / shared_.plan.rate_per_device;
  return at(shared_.control.start) +
         Micros(std::llround((static_cast<double>(burst) + phase_share_) * period * 1e6));
}

void Device::make_due(Ticks now) {
  const std::int64_t start = shared_.control.start;
  const std::int64_t end = shared_.control.end;
  const std::uint64_t before = next_seq_;
  if (start == 0) return;
  if (shared_.plan.rate_per_device > 0) {
    while (due_at(bursts_) <= now && (end == 0 || due_at(bursts_) < at(end))) {
      ++bursts_;
      next_seq_ += shared_.plan.burst;
    }
  }
  if (next_seq_ == before) return;
  meters_.due += static_cast<std::int64_t>(next_seq_ - before);
  carry_out(agent_.committed(next_seq_, now), now);
}

bool Device::give(Ticks now) {
  const auto& limits = shared_.plan.limits;
  const std::uint64_t enough = 2 * limits.batches_in_flight_max * limits.batch_records_max;
  if (!agent_.streaming() || next_seq_ - acked_ > enough) return false;
  next_seq_ += shared_.plan.burst;
  meters_.due += shared_.plan.burst;
  carry_out(agent_.committed(next_seq_, now), now);
  return true;
}

void Device::acknowledged(std::uint64_t through, Ticks now) {
  const bool counts = kind_ == Kind::normal;
  if (shared_.plan.saturate) {
    while (!sent_.empty() && sent_.front().first <= through) {
      if (counts && sent_.front().second >= at(shared_.control.measure) &&
          shared_.control.measure != 0) {
        meters_.latency.add(now - sent_.front().second, 1);
      }
      sent_.pop_front();
    }
  } else if (counts && shared_.control.measure != 0) {
    for (std::uint64_t seq = std::max(acked_ + 1, first_seq_); seq <= through;) {
      const std::uint64_t burst = (seq - first_seq_) / shared_.plan.burst;
      const std::uint64_t next = first_seq_ + (burst + 1) * shared_.plan.burst;
      const std::uint64_t last = std::min(through, next - 1);
      const Ticks due = due_at(burst);
      if (due >= at(shared_.control.measure)) meters_.latency.add(now - due, last - seq + 1);
      seq = last + 1;
    }
  }
  meters_.acked += static_cast<std::int64_t>(through) - static_cast<std::int64_t>(acked_);
  acked_ = through;
}

void Device::tick(Ticks now) {
  if (phase_ == Phase::offline) {
    if (now >= connect_at_) connect(now);
  } else if (phase_ != Phase::online && now >= linked_since_ + shared_.plan.connect_timeout) {
    return lost(now, {Errc::timeout, "connecting took too long"});
  }
  if (now >= next_read_) {
    next_read_ = deaf() ? now + kDeafLook : Ticks::max();
    read(now);
    if (phase_ == Phase::offline) return;
  }
  if (timer_ && now >= *timer_) {
    timer_.reset();
    carry_out(agent_.timer(now), now);
  }
  make_due(now);
  if (now >= next_status_) send_status(true, now);
  if (now >= next_ping_) {
    if (!deaf() && now - heard_at_ > shared_.plan.keep_alive * 3 / 2) {
      return lost(now, {Errc::timeout, "the broker is silent"});
    }
    std::string ping;
    mqtt5::append_ping(ping);
    link_.send(ping);
    next_ping_ = now + shared_.plan.keep_alive / 2;
  }
}

// --- the connection ------------------------------------------------------------------------------

void Device::connect(Ticks now) {
  linked_since_ = now;
  phase_ = Phase::linking;
  const auto socket = link_.open();
  if (!socket) return lost(now, socket.error());
  tools_.watch(*socket, index_);
}

void Device::lost(Ticks now, const Error& why) {
  if (meters_.losses.fetch_add(1) < 5) {
    std::fprintf(stderr, "%s: %s\n", wire::to_string(identity_).c_str(), why.context.c_str());
  }
  drop(now);
}

void Device::drop(Ticks now) {
  if (link_.secured()) --meters_.connected;
  link_.close(true);
  if (streaming_) lost_at_ = now;
  if (phase_ == Phase::online) backoff_.reset();
  phase_ = Phase::offline;
  inbox_.clear();
  open_.clear();
  next_status_ = next_ping_ = next_read_ = Ticks::max();
  timer_.reset();
  carry_out(agent_.disconnected(), now);
  note_streaming(now);
  connect_at_ = now + backoff_.next();
}

void Device::finish(Ticks now) {
  if (phase_ != Phase::online) return;
  send_status(false, now);
  std::string goodbye;
  mqtt5::append_disconnect(goodbye);
  link_.send(goodbye);
  if (link_.secured()) --meters_.connected;
  link_.close(false);
  phase_ = Phase::offline;
  connect_at_ = next_status_ = next_ping_ = Ticks::max();
  timer_.reset();
}

void Device::ready(Ticks now) {
  if (!link_.is_open()) return;
  const bool was = link_.secured();
  if (const auto done = link_.advance(); !done) return lost(now, done.error());
  if (!link_.secured()) return;
  if (!was) {
    ++meters_.connected;
    ++meters_.handshakes;
    connection_id_ = sync::connection_id(++connections_, random_id());
    wire::Status will;
    will.connection_id = connection_id_;
    will.online = false;
    will.agent_version = kFleetVersion;
    const std::string topic = wire::topic(identity_, wire::Channel::status);
    const std::string payload = tools_.writer.seal(wire::encode(will));
    const std::string client_id = wire::to_string(identity_);
    std::string hello;
    mqtt5::append(hello, {.client_id = client_id,
                          .keep_alive_s = static_cast<std::uint16_t>(shared_.plan.keep_alive /
                                                                     std::chrono::seconds(1)),
                          .will_topic = topic,
                          .will_payload = payload});
    link_.send(hello);
    heard_at_ = now;
    phase_ = Phase::greeting_broker;
  }
  if ((kind_ == Kind::slow && phase_ == Phase::online) || deaf()) {
    if (next_read_ == Ticks::max()) next_read_ = now + (deaf() ? kDeafLook : kSlowRead);
    return;
  }
  read(now);
}

void Device::read(Ticks now) {
  bool more = true;
  while (more && link_.is_open() && !deaf()) {
    const bool slow = kind_ == Kind::slow && phase_ == Phase::online;
    const auto bytes = link_.receive(slow ? kSlowReadBytes : kReadBytes, more);
    if (!bytes) return lost(now, bytes.error());
    if (bytes->empty()) break;
    heard_at_ = now;
    inbox_ += *bytes;
    const std::string whole = std::move(inbox_);
    inbox_.clear();
    std::string_view rest = whole;
    while (!rest.empty() && link_.is_open()) {
      const auto one = mqtt5::read(rest);
      if (!one) return lost(now, one.error());
      if (!*one) break;
      packet(**one, now);
      rest.remove_prefix((*one)->bytes);
    }
    if (!link_.is_open()) return;
    inbox_ = rest;
    if (slow && more) {
      next_read_ = now + kSlowRead;
      return;
    }
  }
}

void Device::packet(const mqtt5::Packet& packet, Ticks now) {
  using mqtt5::Type;
  const std::string code = std::to_string(packet.reason);
  switch (packet.type) {
    case Type::connack: {
      if (packet.reason >= 0x80) return lost(now, {Errc::denied, "CONNACK says " + code});
      window_ = std::min<std::size_t>(kOpenMax, packet.receive_max);
      std::string subscribe;
      mqtt5::append_subscribe(subscribe, ++packet_id_, wire::down_filter(identity_));
      link_.send(subscribe);
      phase_ = Phase::subscribing;
      return;
    }
    case Type::suback:
      if (packet.reason >= 0x80) return lost(now, {Errc::denied, "SUBACK says " + code});
      phase_ = Phase::online;
      next_ping_ = now + shared_.plan.keep_alive / 2;
      carry_out(agent_.connected(connection_id_, now), now);
      return;
    case Type::puback:
      return puback(packet.packet_id, now);
    case Type::publish:
      if (packet.packet_id != 0) {
        std::string taken;
        mqtt5::append_puback(taken, packet.packet_id);
        link_.send(taken);
      }
      return answer(packet, now);
    case Type::disconnect:
      return lost(now, {Errc::io, "the broker says goodbye, " + code});
    case Type::pong:
      return;
  }
}

void Device::puback(std::uint16_t id, Ticks now) {
  if (open_.empty() || open_.front().first != id) return;  // of a connection before
  const std::uint64_t through = open_.front().second;
  open_.pop_front();
  if (!shared_.plan.broker_only || through == 0) return;
  carry_out(
      agent_.acked({.epoch = epoch_, .watermark = through, .connection_id = connection_id_}, now),
      now);
  make_due(now);
}

void Device::answer(const mqtt5::Packet& packet, Ticks now) {
  const auto topic = wire::parse_topic(packet.topic);
  const auto body = tools_.reader.open(packet.payload);
  if (!topic || topic->identity != identity_ || !body) {
    return lost(now, {Errc::corrupt, "an answer that cannot be read"});
  }
  if (topic->channel == wire::Channel::welcome) {
    if (const auto welcome = wire::decode_welcome(*body)) welcomed(*welcome, now);
  } else if (topic->channel == wire::Channel::ack) {
    if (const auto ack = wire::decode_ack(*body)) {
      carry_out(agent_.acked(*ack, now), now);
    }
  }
}

void Device::welcomed(const wire::Welcome& welcome, Ticks now) {
  sync::OwnRecord own;
  if (welcome.known_seq > 0 && welcome.known_seq < next_seq_) {
    own.state = sync::OwnRecord::State::readable;
    own.hash = shared_.records.hash(index_, welcome.known_seq);
  }
  carry_out(agent_.welcomed(welcome, own, now), now);
  note_streaming(now);
  if (!streaming_) return;
  backoff_.reset();
  send_status(true, now);
  make_due(now);
}

void Device::note_streaming(Ticks now) {
  meters_.resends += agent_.resends() - resends_;
  resends_ = agent_.resends();
  if (agent_.streaming() && halted_) {
    halted_ = false;
    --meters_.halted;
  }
  if (agent_.streaming() == streaming_) return;
  streaming_ = agent_.streaming();
  meters_.welcomed += streaming_ ? 1 : -1;
  if (!streaming_) return;
  meters_.connect.add(now - linked_since_);
  if (lost_at_) meters_.outage.add(now - *lost_at_);
  lost_at_.reset();
}

bool Device::publish(wire::Channel channel, std::string_view body, std::uint64_t through) {
  const std::string frame = tools_.writer.seal(body);
  std::string bytes;
  bytes.reserve(frame.size() + 160);
  const auto id = static_cast<std::uint16_t>(packet_id_ % 65535 + 1);
  mqtt5::append_publish(bytes, id, wire::topic(identity_, channel), frame);
  if (phase_ != Phase::online || open_.size() >= window_ || !link_.send(bytes)) {
    ++meters_.refused;
    return false;
  }
  packet_id_ = id;
  open_.emplace_back(id, through);
  if (channel == wire::Channel::records) meters_.bytes += frame.size();
  return true;
}

}  // namespace lapwing::fleet
