// SPDX-License-Identifier: Apache-2.0
/// bench_hub_load PORT IDENTITY_FOLDER TENANT/DEVICE SECONDS: one device that always has score
/// summaries to send, over MQTT/TLS, by the real protocol. Prints the records a second that the hub
/// acknowledged (so: committed) after a second of warming up.
#include "shared/base/ids.hpp"
#include "shared/mqtt/client.hpp"
#include "shared/sync/agent.hpp"
#include "shared/wire/codec.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"
#include "tests/bench/support.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace lapwing::bench {
namespace {

constexpr std::uint64_t kEndless = std::uint64_t{1} << 40U;

/// A backlog as an agent of 500 streams makes it: each stream's summary of ten seconds, two days
/// old. The same seq is always the same record.
class Records {
 public:
  [[nodiscard]] std::string at(std::uint64_t seq) const {
    const auto turn = static_cast<std::int64_t>(seq / 500);
    const double noise = static_cast<double>(seq * 2654435761U % 1000U) / 1000;
    wire::SummaryRecord summary;
    summary.stream = "plant1/pump" + std::to_string(seq % 500) + "/vibration";
    summary.watch = "pumps";
    summary.begin = first_ + std::chrono::seconds(10 * turn);
    summary.end = summary.begin + std::chrono::seconds(10);
    summary.readings = 10;
    summary.value_min = 1.5 + noise;
    summary.value_mean = 2.5 + noise * noise;
    summary.value_max = 3.5 + 2 * noise;
    summary.score_mean = 0.2 * noise;
    summary.score_max = 0.7 * noise;
    summary.band = {2.5, 1.0 + noise, 4.0 + noise};
    return wire::encode_record(summary);
  }

 private:
  Time first_ = now() - std::chrono::hours(48);
};

class Device {
 public:
  Device(std::uint16_t port, const std::string& folder, wire::Identity identity)
      : identity_(std::move(identity)),
        sync_({}, {}, random_u64()),
        client_(options(port, folder), handlers()) {
    client_.subscribe({{wire::down_filter(identity_), 1}});
    if (const auto started = client_.start(); !started) give_up(started.error().context);
    carry_out(sync_.committed(kEndless, ticks_now()));
  }
  ~Device() { client_.stop(); }

  /// Works until then; the records acknowledged so far.
  std::uint64_t run_until(double end) {
    while (seconds_now() < end) {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(20), [this] { return !events_.empty(); });
      auto events = std::move(events_);
      events_.clear();
      lock.unlock();
      for (auto& event : events) handle(event);
      if (timer_ && ticks_now() >= *timer_) {
        timer_.reset();
        carry_out(sync_.timer(ticks_now()));
      }
    }
    return sync_.watermark();
  }

 private:
  struct Connected {};
  struct Lost {
    std::string reason;
  };
  struct Received {
    wire::Channel channel;
    std::string frame;
  };
  using Event = std::variant<Connected, Lost, Received>;

  mqtt::Options options(std::uint16_t port, const std::string& folder) const {
    mqtt::Options options;
    options.host = "localhost";
    options.port = port;
    options.client_id = wire::to_string(identity_);
    options.tls =
        mqtt::Tls{folder + "/ca.pem", folder + "/device.pem", folder + "/device.key", true};
    return options;
  }

  mqtt::Handlers handlers() {
    mqtt::Handlers handlers;
    handlers.on_connected = [this](bool) { put(Connected{}); };
    handlers.on_disconnected = [this](const Error& error) { put(Lost{error.context}); };
    handlers.on_message = [this](const mqtt::Message& message) {
      const auto topic = wire::parse_topic(message.topic);
      if (topic) put(Received{topic->channel, std::string(message.payload)});
    };
    return handlers;
  }

  void put(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }

  void handle(const Event& event) {
    if (std::holds_alternative<Connected>(event)) {
      connection_id_ = random_id();
      carry_out(sync_.connected(connection_id_, ticks_now()));
    } else if (const auto* lost = std::get_if<Lost>(&event)) {
      std::fprintf(stderr, "lost: %s\n", lost->reason.c_str());
      carry_out(sync_.disconnected());
    } else {
      const auto& received = std::get<Received>(event);
      const auto body = reader_.open(received.frame);
      if (!body) give_up(body.error().context);
      if (received.channel == wire::Channel::welcome) {
        const auto welcome = wire::decode_welcome(*body);
        if (!welcome) give_up(welcome.error().context);
        std::optional<std::uint64_t> own_hash;
        if (welcome->known_seq > 0) own_hash = wire::record_hash(records_.at(welcome->known_seq));
        carry_out(sync_.welcomed(*welcome, own_hash, ticks_now()));
      } else if (received.channel == wire::Channel::ack) {
        const auto ack = wire::decode_ack(*body);
        if (!ack) give_up(ack.error().context);
        carry_out(sync_.acked(*ack, ticks_now()));
      }
    }
  }

  void carry_out(const sync::Actions& actions) {
    for (const sync::Action& action : actions) {
      if (std::holds_alternative<sync::SendHello>(action)) {
        send_hello();
      } else if (const auto* batch = std::get_if<sync::SendBatch>(&action)) {
        send_batch(*batch);
      } else if (const auto* arm = std::get_if<sync::ArmTimer>(&action)) {
        timer_ = arm->at;
      } else if (const auto* adopt = std::get_if<sync::AdoptEpoch>(&action)) {
        epoch_ = adopt->epoch;
      } else if (const auto* again = std::get_if<sync::Reconnect>(&action)) {
        client_.reconnect(again->reason);
      } else if (const auto* halted = std::get_if<sync::Halted>(&action)) {
        give_up("the hub refuses the device: " + halted->reason);
      }
    }
  }

  void send_hello() {
    wire::Hello hello;
    hello.connection_id = connection_id_;
    hello.instance_id = instance_id_;
    hello.database_id = database_id_;
    hello.epoch = epoch_;
    hello.next_seq = kEndless;
    hello.acked_seq = sync_.watermark();
    if (hello.acked_seq > 0) hello.acked_hash = wire::record_hash(records_.at(hello.acked_seq));
    hello.agent_version = "bench";
    hello.sent = now();
    static_cast<void>(publish(wire::Channel::hello, wire::encode(hello)));
  }

  void send_batch(const sync::SendBatch& order) {
    wire::RecordBatch batch;
    batch.epoch = epoch_;
    batch.connection_id = connection_id_;
    std::size_t bytes = 0;
    for (std::uint64_t seq = order.from_seq; batch.entries.size() < order.records_max; ++seq) {
      std::string payload = records_.at(seq);
      if (bytes + payload.size() > order.bytes_max && bytes != 0) break;
      bytes += payload.size();
      batch.entries.push_back({seq, seq, wire::RecordClass::summary, std::move(payload)});
    }
    std::uint64_t through = order.from_seq - 1;
    if (publish(wire::Channel::records, wire::encode(batch))) through += batch.entries.size();
    carry_out(sync_.sent(through, bytes, ticks_now()));
  }

  bool publish(wire::Channel channel, const std::string& body) {
    return client_.publish(wire::topic(identity_, channel), writer_.seal(body), 1).has_value();
  }

  wire::Identity identity_;
  Records records_;
  std::string connection_id_;
  std::string instance_id_ = random_id();
  std::string database_id_ = random_id();
  std::uint64_t epoch_ = 0;
  sync::Agent sync_;
  wire::FrameWriter writer_{1};
  wire::FrameReader reader_;
  std::optional<Ticks> timer_;
  std::mutex mutex_;  // guards events_
  std::condition_variable changed_;
  std::vector<Event> events_;
  mqtt::Client client_;
};

}  // namespace
}  // namespace lapwing::bench

int main(int argc, char** argv) {
  using namespace lapwing;
  if (argc != 5) bench::give_up("usage: bench_hub_load PORT IDENTITY_FOLDER TENANT/DEVICE SECONDS");
  auto identity = wire::parse_identity(argv[3]);
  if (!identity) bench::give_up(identity.error().context);
  bench::Device device(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2], *identity);
  const double begin = bench::seconds_now();
  const std::uint64_t warm = device.run_until(begin + 1.5);
  const double from = bench::seconds_now();
  const std::uint64_t done = device.run_until(from + std::atof(argv[4]));
  if (done == 0) bench::give_up("the hub acknowledged nothing");
  std::printf("%.0f\n", static_cast<double>(done - warm) / (bench::seconds_now() - from));
}
