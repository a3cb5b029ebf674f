// SPDX-License-Identifier: Apache-2.0
#include "hub/sink/producer.hpp"

#include "shared/base/log.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <librdkafka/rdkafka.h>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr int kPollMilliseconds = 100;
constexpr auto kAskEvery = std::chrono::milliseconds(200);
constexpr auto kFullWait = std::chrono::milliseconds(20);
constexpr const char* kMessagesMax = "100000";
constexpr const char* kKilobytesMax = "65536";
constexpr int kWarning = 4;  // of syslog

/// One deliver() under way.
struct Delivery {
  explicit Delivery(std::size_t messages) : fates(messages), open(messages) {}
  std::mutex mutex;
  std::condition_variable reported;
  std::vector<Fate> fates;
  std::size_t open;

  void report(std::size_t index, rd_kafka_resp_err_t error) {
    const std::scoped_lock lock(mutex);
    auto& fate = fates[index];
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      fate.kind = Fate::Kind::delivered;
    } else {
      const bool never = error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
                         error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
      fate.kind = never ? Fate::Kind::refused : Fate::Kind::failed;
      fate.reason = rd_kafka_err2name(error);
    }
    if (--open == 0) reported.notify_all();
  }
};
/// What librdkafka carries along with a message.
struct Slot {
  Delivery* delivery;
  std::size_t index;
};

class Settings {
 public:
  Settings() : conf_(rd_kafka_conf_new()) {}
  ~Settings() {
    if (conf_ != nullptr) rd_kafka_conf_destroy(conf_);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  void set(const char* name, const std::string& value) {
    std::array<char, 256> why{};
    if (rd_kafka_conf_set(conf_, name, value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK &&
        problem_.empty()) {
      problem_ = why.data();
    }
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] rd_kafka_conf_t* get() const { return conf_; }
  void given_away() { conf_ = nullptr; }

 private:
  rd_kafka_conf_t* conf_;
  std::string problem_;
};

std::string milliseconds(Micros duration) { return std::to_string(duration.count() / 1000); }

void set_access(Settings& s, const SinkConfig& c) {
  s.set("security.protocol",
        c.sasl == "none" ? (c.tls ? "ssl" : "plaintext") : (c.tls ? "sasl_ssl" : "sasl_plaintext"));
  if (!c.ca_file.empty()) s.set("ssl.ca.location", c.ca_file.string());
  if (!c.certificate_file.empty()) {
    s.set("ssl.certificate.location", c.certificate_file.string());
    s.set("ssl.key.location", c.key_file.string());
  }
  if (c.key_password) s.set("ssl.key.password", c.key_password->reveal());
  if (c.sasl == "none") return;
  s.set("sasl.mechanism", c.sasl == "plain"           ? "PLAIN"
                          : c.sasl == "scram-sha-256" ? "SCRAM-SHA-256"
                                                      : "SCRAM-SHA-512");
  s.set("sasl.username", c.username);
  if (c.password) s.set("sasl.password", c.password->reveal());
}

}  // namespace

struct Producer::Impl {
  std::string name;
  std::string topic;
  rd_kafka_t* kafka = nullptr;
  std::atomic<bool> broken{false};
  mutable std::mutex trouble_mutex;
  std::string trouble;
  std::jthread poller;

  ~Impl() {
    if (kafka == nullptr) return;
    poller.request_stop();
    if (poller.joinable()) poller.join();
    rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(kafka);
  }

  void tell(std::string what) {
    const std::scoped_lock lock(trouble_mutex);
    trouble = std::move(what);
  }

  static void reported(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) static_cast<Impl*>(self)->tell({});
    const auto* slot = static_cast<const Slot*>(message->_private);
    slot->delivery->report(slot->index, message->err);
  }

  static void failed(rd_kafka_t* kafka, int error, const char* reason, void* opaque) {
    auto& self = *static_cast<Impl*>(opaque);
    std::string why = reason;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
      std::array<char, 256> text{};
      rd_kafka_fatal_error(kafka, text.data(), text.size());
      why = text.data();
      self.broken = true;
    }
    log::warn("kafka", {{"sink", self.name}, {"error", why}});
    self.tell(std::move(why));
  }

  static void logged(const rd_kafka_t* kafka, int level, const char*, const char* text) {
    const auto* self = static_cast<const Impl*>(rd_kafka_opaque(kafka));
    log::write(level <= kWarning ? log::Level::warn : log::Level::debug, "librdkafka",
               {{"sink", self == nullptr ? std::string() : self->name}, {"text", text}});
  }

  /// Whether librdkafka took it; then its report follows.
  rd_kafka_resp_err_t send(const KafkaMessage& message, Slot& slot) const {
    std::array<rd_kafka_vu_t, 6> words{};
    words[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    words[0].u.cstr = topic.c_str();
    words[1].vtype = RD_KAFKA_VTYPE_KEY;
    words[1].u.mem.ptr = const_cast<char*>(message.key.data());  // only read
    words[1].u.mem.size = message.key.size();
    words[2].vtype = RD_KAFKA_VTYPE_VALUE;
    words[2].u.mem.ptr = const_cast<char*>(message.value.data());
    words[2].u.mem.size = message.value.size();
    words[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    words[3].u.i = RD_KAFKA_MSG_F_COPY;
    // Headers of our own: of those it makes itself librdkafka 2.0 frees some twice after a failure.
    auto* headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "class", -1, message.record_class.data(),
                        static_cast<ssize_t>(message.record_class.size()));
    words[4].vtype = RD_KAFKA_VTYPE_HEADERS;
    words[4].u.headers = headers;
    words[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
    words[5].u.ptr = &slot;
    auto* error = rd_kafka_produceva(kafka, words.data(), words.size());
    if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
    const auto code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    rd_kafka_headers_destroy(headers);
    return code;
  }
};

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::~Producer() = default;

Result<std::unique_ptr<Producer>> Producer::make(const SinkConfig& config, Micros message_timeout) {
  auto impl = std::make_unique<Impl>();
  impl->name = config.name;
  impl->topic = config.topic;
  Settings settings;
  settings.set("bootstrap.servers", config.brokers);
  settings.set("client.id", config.client_id);
  settings.set("enable.idempotence", "true");  // with it: acks=all, and order
  settings.set("message.timeout.ms", milliseconds(message_timeout));
  settings.set("linger.ms", milliseconds(config.linger));
  settings.set("compression.type", config.compression);
  settings.set("queue.buffering.max.messages", kMessagesMax);
  settings.set("queue.buffering.max.kbytes", kKilobytesMax);
  settings.set("partitioner", "murmur2_random");  // as Java's clients place a key
  settings.set("socket.keepalive.enable", "true");
  settings.set("reconnect.backoff.max.ms", "3000");
  set_access(settings, config);
  rd_kafka_conf_set_opaque(settings.get(), impl.get());
  rd_kafka_conf_set_dr_msg_cb(settings.get(), &Impl::reported);
  rd_kafka_conf_set_error_cb(settings.get(), &Impl::failed);
  rd_kafka_conf_set_log_cb(settings.get(), &Impl::logged);
  std::array<char, 256> why{};
  std::string problem = settings.problem();
  if (problem.empty()) {
    impl->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, settings.get(), why.data(), why.size());
    if (impl->kafka != nullptr) {
      settings.given_away();
    } else {
      problem = why.data();
    }
  }
  if (!problem.empty()) return Error{Errc::bad_config, "sink " + config.name + ": " + problem};
  impl->poller = std::jthread([&kafka = *impl->kafka](const std::stop_token& stop) {
    while (!stop.stop_requested()) rd_kafka_poll(&kafka, kPollMilliseconds);
  });
  return std::unique_ptr<Producer>(new Producer(std::move(impl)));
}

std::vector<Fate> Producer::deliver(std::span<const KafkaMessage> messages, const GoOn& go_on) {
  Delivery delivery(messages.size());
  std::vector<Slot> slots;
  slots.reserve(messages.size());
  bool ended = false;
  auto next_question = std::chrono::steady_clock::now() + kAskEvery;
  const auto end = [&] {
    // What this one or another has under way comes back as failed, soon.
    rd_kafka_purge(impl_->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    ended = true;
  };
  const auto ask = [&] {
    if (std::chrono::steady_clock::now() < next_question) return;
    next_question = std::chrono::steady_clock::now() + kAskEvery;
    if (ended || impl_->broken || !go_on()) end();
  };
  for (std::size_t i = 0; i < messages.size(); ++i) {
    slots.push_back({&delivery, i});
    auto status = RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    while (!ended &&
           (status = impl_->send(messages[i], slots[i])) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      std::this_thread::sleep_for(kFullWait);
      ask();
    }
    if (status != RD_KAFKA_RESP_ERR_NO_ERROR) delivery.report(i, status);
    ask();
  }
  std::unique_lock lock(delivery.mutex);
  while (delivery.open > 0) {
    delivery.reported.wait_for(lock, kAskEvery, [&] { return delivery.open == 0; });
    lock.unlock();
    ask();
    lock.lock();
  }
  return std::move(delivery.fates);
}

bool Producer::broken() const { return impl_->broken; }

std::string Producer::trouble() const {
  const std::scoped_lock lock(impl_->trouble_mutex);
  return impl_->trouble;
}

}  // namespace lapwing::hub
