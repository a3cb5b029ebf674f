// SPDX-License-Identifier: Apache-2.0
/// Kind `mqtt`: any broker. The client's callback only copies; a thread of ours decodes.
#include "agent/source/source.hpp"
#include "shared/base/log.hpp"
#include "shared/base/metrics.hpp"
#include "shared/mqtt/client.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace lapwing::agent {
namespace {

/// A site's broker serves few agents, and what it is sent meanwhile at QoS 0 is gone: ask soon.
constexpr Micros kReconnectMax = std::chrono::seconds(5);

/// After a message that came alone, while fewer than 5,000 a second come, the receiving thread
/// rests for `gather`: at a thousand messages a second it then wakes up for twenty at a time, and
/// that wake-up is most of the agent's work. In a flood it never rests.
constexpr Micros kAlone = Micros(500);
constexpr Micros kWindow = std::chrono::milliseconds(100);
constexpr std::uint64_t kCalmMessages = 500;  // in a window
/// At most so long: all clients of the process share that thread.
constexpr Micros kRestMax = std::chrono::milliseconds(20);

/// What came lately on the library's receiving thread, for all sources: were each source to look at
/// its own messages only, two of them would take a message alone in turn and rest after each.
struct Arrivals {
  Ticks last{};
  Ticks window_begin{};
  std::uint64_t messages = 0;  ///< in the window
  bool calm = true;
};
thread_local Arrivals arrivals;

/// Larger packets are not sent by an MQTT 5 broker at all; those between a payload limit and this
/// are quarantined, so that people see them.
constexpr std::size_t kPacketBytesMax = std::size_t{16} << 20U;

/// While the buffer is full, how often is looked whether scoring is held up, and after how many
/// such looks the source leaves its broker.
constexpr Micros kLookEvery = std::chrono::milliseconds(100);
constexpr int kLooks = 10;
/// Until it has left: each message that still comes is let wait so long, and so many bytes are
/// taken beyond the buffer's bound.
constexpr Micros kLeaveSlowly = std::chrono::milliseconds(5);
constexpr std::size_t kLeaveBytesMax = std::size_t{4} << 20U;

class MqttSource final : public Source {
 public:
  MqttSource(const SourceConfig& config, const SourceContext& context)
      : config_(config),
        context_(context),
        intake_(config.intake, context.namer, context.sink, context.quarantine, context.metrics) {
    for (const Route& route : config_.intake.routes) {
      payload_bytes_max_ = std::max(payload_bytes_max_, route.decode.payload_bytes_max);
      for (const std::string& filter : route.filters)
        filters_.push_back({filter, config_.mqtt.qos});
    }
    if (context_.metrics == nullptr) return;
    const Metrics::Labels labels{{"source", config_.name}};
    waits_counter_ = &context_.metrics->counter(
        "source_waits_total", "Times a broker was held back because decoding was behind", labels);
    pauses_counter_ = &context_.metrics->counter(
        "source_pauses_total",
        "Times a source left its broker because scoring waited for the outbox", labels);
    dropped_counter_ = &context_.metrics->counter(
        "source_dropped_total", "Messages dropped on the way out of a broker: they came too fast",
        labels);
    buffer_gauge_ = &context_.metrics->gauge(
        "source_buffer_bytes", "Bytes of messages that wait or are being decoded", labels);
    connected_gauge_ =
        &context_.metrics->gauge("source_connected", "1 while the source has its broker", labels);
  }
  ~MqttSource() override { MqttSource::stop(); }

  Result<void> start() override {
    set_state(SourceState::starting, "");
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
      leaving_ = false;
    }
    client_ = std::make_unique<mqtt::Client>(options(), handlers());
    client_->subscribe(filters_);
    thread_ = std::thread([this] { run(); });
    auto started = client_->start();
    if (!started) {
      stop();
      set_state(SourceState::failed, started.error().context);
      return within("source \"" + config_.name + "\"", started.error());
    }
    return {};
  }

  void stop() noexcept override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;  // a callback that waits for room goes on now
    }
    room_.notify_all();
    if (client_ != nullptr) client_->stop();
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;  // nothing is added any more: what is there is still decoded
    }
    ready_.notify_all();
    thread_.join();
    ending_ = false;
    client_.reset();
    set_state(SourceState::stopped, "");
  }

  [[nodiscard]] SourceHealth health() const override {
    SourceHealth health;
    health.name = config_.name;
    health.kind = "mqtt";
    const Intake::Totals totals = intake_.totals();
    health.messages = totals.messages + too_large_;
    health.readings = totals.readings;
    health.refused = totals.refused + too_large_;
    health.bytes = totals.bytes;
    health.last_message = totals.last_message;
    health.waits = waits_;
    const std::lock_guard lock(state_mutex_);
    health.state = state_;
    health.detail = detail_;
    return health;
  }

 private:
  mqtt::Options options() const {
    const MqttSourceConfig& mqtt = config_.mqtt;
    mqtt::Options options;
    options.host = mqtt.host;
    options.port = mqtt.port;
    options.client_id = mqtt.client_id.empty()
                            ? "lapwing-" + context_.device_name + "-" + config_.name
                            : mqtt.client_id;
    options.version = mqtt.version == 5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
    if (mqtt.tls) options.tls = mqtt::Tls{mqtt.ca_file, mqtt.certificate_file, mqtt.key_file, true};
    options.username = mqtt.username;
    options.password = mqtt.password;
    options.keep_alive = mqtt.keep_alive;
    options.backoff_max = kReconnectMax;
    options.clean_start = !mqtt.persistent;
    options.session_expiry = mqtt.persistent ? mqtt.session_expiry : Micros(0);
    options.packet_bytes_max =
        static_cast<std::uint32_t>(std::max(kPacketBytesMax, 2 * payload_bytes_max_));
    return options;
  }

  mqtt::Handlers handlers() {
    mqtt::Handlers handlers;
    handlers.on_connected = [this](bool /*session_present*/) {
      log::info("source connected", {{"source", config_.name}, {"broker", broker()}});
      set_state(SourceState::running, "");
    };
    handlers.on_disconnected = [this](const Error& error) {
      log::warn(error.code == Errc::limit ? "source left its broker until there is room"
                                          : "source has no broker, trying again",
                {{"source", config_.name}, {"error", error.context}});
      set_state(SourceState::waiting, error.context);
    };
    handlers.on_message = [this](const mqtt::Message& message) {
      on_message(message);
      rest();
    };
    return handlers;
  }

  std::string broker() const { return config_.mqtt.host + ":" + std::to_string(config_.mqtt.port); }

  /// On the library's receiving thread, after each message: see kAlone.
  void rest() const {
    const Ticks at = ticks_now();
    ++arrivals.messages;
    if (at - arrivals.window_begin >= kWindow) {
      arrivals.calm = arrivals.messages < kCalmMessages;
      arrivals.messages = 0;
      arrivals.window_begin = at;
    }
    const bool resting = arrivals.calm && at - arrivals.last >= kAlone;
    if (resting) std::this_thread::sleep_for(std::min(config_.mqtt.gather, kRestMax));
    arrivals.last = resting ? ticks_now() : at;
  }

  /// On the library's receiving thread: copies, and waits only while the buffer is full, which
  /// holds the broker back through TCP.
  void on_message(const mqtt::Message& message) {
    const Time received = now();
    if (message.payload.size() > payload_bytes_max_) {
      ++too_large_;
      context_.quarantine.add(
          config_.name, message.topic, message.payload, Refusal::too_large,
          "the payload is larger than the source's payload_bytes_max: raise it or send less",
          received);
      return;
    }
    std::unique_lock lock(mutex_);
    if (!has_room(message) && !wait_for_room(lock, message)) {
      if (dropped_counter_ != nullptr) dropped_counter_->add(1);
      return;
    }
    filling_.add(message.topic, message.payload, received);
    if (idle_ || many_wait()) ready_.notify_one();
  }

  /// False: the message is to be dropped.
  ///
  /// The wait ends with the engine's work. But when scoring waits for the outbox, that waits for
  /// the hub (`summaries_at_bound = "block"`), and the hub's answers come on this very thread: then
  /// the source leaves its broker, which keeps what a persistent session is owed, until there is
  /// room.
  bool wait_for_room(std::unique_lock<std::mutex>& lock, const mqtt::Message& message) {
    const auto room = [&] { return stopping_ || has_room(message); };
    if (!leaving_) {
      ++waits_;
      if (waits_counter_ != nullptr) waits_counter_->add(1);
      ready_.notify_one();
      for (int held_up = 0; held_up < kLooks; held_up = context_.sink.held_up() ? held_up + 1 : 0) {
        if (room_.wait_for(lock, kLookEvery, room)) return true;
      }
      leaving_ = true;
      if (pauses_counter_ != nullptr) pauses_counter_->add(1);
      client_->pause("scoring waits for the outbox, which waits for the hub");
    }
    room_.wait_for(lock, kLeaveSlowly, room);
    return filling_.bytes() < config_.mqtt.buffer_bytes / 2 + kLeaveBytesMax;
  }

  /// A message larger than the whole buffer is taken when nothing else is there.
  bool has_room(const mqtt::Message& message) const {
    return filling_.empty() || filling_.bytes() + message.topic.size() + message.payload.size() <=
                                   config_.mqtt.buffer_bytes / 2;
  }

  void run() {
    bool busy = false;  // messages came in the last round
    std::unique_lock lock(mutex_);
    while (true) {
      if (!busy) {
        if (leaving_) {
          leaving_ = false;
          client_->resume();
        }
        idle_ = true;
        ready_.wait(lock, [this] { return ending_ || !filling_.empty(); });
        idle_ = false;
      }
      // Waking up once for many messages is most of what decoding a slow stream costs.
      ready_.wait_for(lock, config_.mqtt.gather, [this] { return ending_ || many_wait(); });
      busy = !filling_.empty();
      if (!busy && ending_) return;
      if (!busy) continue;
      std::swap(filling_, draining_);
      lock.unlock();
      show_buffer(draining_.bytes());
      room_.notify_all();
      static_cast<void>(intake_.take(draining_));  // fails only while the engine stops
      draining_.clear();
      lock.lock();
      show_buffer(filling_.bytes());
    }
  }

  void show_buffer(std::size_t bytes) const {
    if (buffer_gauge_ != nullptr) buffer_gauge_->set(static_cast<double>(bytes));
  }

  [[nodiscard]] bool many_wait() const { return filling_.bytes() >= config_.mqtt.buffer_bytes / 4; }

  void set_state(SourceState state, std::string detail) {
    if (connected_gauge_ != nullptr) connected_gauge_->set(state == SourceState::running ? 1 : 0);
    const std::lock_guard lock(state_mutex_);
    state_ = state;
    detail_ = std::move(detail);
  }

  SourceConfig config_;
  SourceContext context_;
  Intake intake_;  ///< of the decoding thread
  std::size_t payload_bytes_max_ = 0;
  std::vector<mqtt::Subscription> filters_;
  Counter* waits_counter_ = nullptr;
  Counter* pauses_counter_ = nullptr;
  Counter* dropped_counter_ = nullptr;
  Gauge* buffer_gauge_ = nullptr;
  Gauge* connected_gauge_ = nullptr;
  std::unique_ptr<mqtt::Client> client_;
  std::thread thread_;
  std::atomic<std::uint64_t> too_large_{0};
  std::atomic<std::uint64_t> waits_{0};

  std::mutex mutex_;  // guards filling_, leaving_, stopping_, ending_
  std::condition_variable ready_;
  std::condition_variable room_;
  MessageBatch filling_;
  MessageBatch draining_;  ///< of the decoding thread
  bool idle_ = false;      ///< the decoding thread waits for a first message
  bool leaving_ = false;   ///< the broker was left, or will be in a moment
  bool stopping_ = false;
  bool ending_ = false;

  mutable std::mutex state_mutex_;  // guards state_, detail_
  SourceState state_ = SourceState::stopped;
  std::string detail_;
};

}  // namespace

std::unique_ptr<Source> make_mqtt_source(const SourceConfig& config, const SourceContext& context) {
  return std::make_unique<MqttSource>(config, context);
}

}  // namespace lapwing::agent
