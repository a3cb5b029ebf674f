// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/connection.hpp"

#include "shared/mqtt/no_delay.hpp"

#include <MQTTAsync.h>

#include <algorithm>
#include <utility>

namespace lapwing::mqtt {
namespace {

int seconds_of(Micros time, int least) {
  return std::max(least,
                  static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(time).count()));
}

/// Our own count is the bound; the library's must not come first.
int inflight_of(const Options& options) {
  return static_cast<int>(std::min<std::size_t>(options.inflight_max + 1, 65535));
}

std::string reason_text(int code) {
  const char* text = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(code));
  return text == nullptr ? "reason code " + std::to_string(code) : text;
}

/// What MQTT 3.1.1 answers to CONNECT, section 3.2.2.3.
std::string connack_text(int code) {
  switch (code) {
    case 1:
      return "the broker does not speak this MQTT version";
    case 2:
      return "the broker refuses this client id";
    case 3:
      return "the broker is unavailable";
    case 4:
      return "bad user name or password";
    case 5:
      return "not authorised";
    default:
      return "error " + std::to_string(code);
  }
}

struct FreeProperties {
  MQTTProperties* properties;
  ~FreeProperties() { MQTTProperties_free(properties); }
};

void add_number(MQTTProperties& properties, MQTTPropertyCodes code, std::uint32_t value) {
  MQTTProperty property{};
  property.identifier = code;
  if (code == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM) {
    property.value.integer2 = static_cast<unsigned short>(value);
  } else {
    property.value.integer4 = value;
  }
  MQTTProperties_add(&properties, &property);
}

}  // namespace

/// The library's callbacks; each context is a CallbackGate.
struct Callbacks {
  template <class Action>
  static void with(void* context, Action action) {
    CallbackGate::enter<Connection>(context, action);
  }

  static void lost(void* context, char* cause) {
    with(context, [&](Connection& self) {
      self.connected_ = false;
      self.give_up({Errc::io, cause != nullptr ? cause : "the connection was lost"});
    });
  }
  static void disconnected(void* context, MQTTProperties*, MQTTReasonCodes reason) {
    with(context, [&](Connection& self) {
      self.connected_ = false;
      self.give_up({Errc::io, "the broker closed the connection: " + reason_text(reason)});
    });
  }
  static int arrived(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) {
    with(context, [&](Connection& self) {
      if (!self.handlers_.on_message) return;
      // The length is 0 when the topic has no NUL inside.
      const std::string_view name =
          topic_bytes > 0 ? std::string_view(topic, static_cast<std::size_t>(topic_bytes))
                          : std::string_view(topic);
      self.handlers_.on_message({.topic = name,
                                 .payload = {static_cast<const char*>(message->payload),
                                             static_cast<std::size_t>(message->payloadlen)},
                                 .qos = message->qos,
                                 .retained = message->retained != 0,
                                 .duplicate = message->dup != 0});
    });
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
  }
  static void good(void* context, MQTTAsync_successData* data) {
    const bool present = data != nullptr && data->alt.connect.sessionPresent != 0;
    with(context,
         [&](Connection& self) { self.finish({.good = true, .session_present = present}); });
  }
  static void good5(void* context, MQTTAsync_successData5* data) {
    const bool present = data != nullptr && data->alt.connect.sessionPresent != 0;
    // How many QoS 1 messages the broker takes at once; 65535 where it does not say. Beyond it the
    // library holds messages back for a second each time, so publish() keeps below.
    const int told = data == nullptr ? -1
                                     : MQTTProperties_getNumericValue(
                                           &data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    with(context, [&](Connection& self) {
      if (told > 0) self.window_ = std::min(self.window_.load(), static_cast<std::size_t>(told));
      self.finish({.good = true, .session_present = present});
    });
  }
  static void ended5(void* context, MQTTAsync_successData5*) {
    with(context, [&](Connection& self) { self.finish({.good = true}); });
  }
  static void subscribed(void* context, MQTTAsync_successData* data) {
    with(context, [&](Connection& self) {
      std::string problem;
      // The library fails a single refused filter itself; of several it gives a list.
      const std::size_t filters = self.filters_;
      for (std::size_t i = 0; data != nullptr && filters > 1 && i < filters; ++i) {
        if (data->alt.qosList[i] >= 0x80) problem = "the broker refuses filter " + nth(i);
      }
      const bool good = problem.empty();
      self.finish({.good = good, .refused = !good, .problem = std::move(problem)});
    });
  }
  static void subscribed5(void* context, MQTTAsync_successData5* data) {
    std::string problem;
    for (int i = 0; data != nullptr && i < data->alt.sub.reasonCodeCount; ++i) {
      // The library fills the array only for several filters.
      const int code = data->alt.sub.reasonCodeCount > 1
                           ? static_cast<int>(data->alt.sub.reasonCodes[i])
                           : static_cast<int>(data->reasonCode);
      if (code < 0x80) continue;
      problem = "the broker refuses filter " + nth(static_cast<std::size_t>(i)) + ": " +
                reason_text(code);
    }
    with(context, [&](Connection& self) {
      const bool good = problem.empty();
      self.finish({.good = good, .refused = !good, .problem = std::move(problem)});
    });
  }
  static std::string nth(std::size_t index) { return "number " + std::to_string(index + 1); }

  static void bad(void* context, MQTTAsync_failureData* data) {
    const bool refused = data != nullptr && data->code > 0;
    std::string problem = refused ? "refused: " + connack_text(data->code)
                          : data != nullptr && data->message != nullptr
                              ? std::string(data->message)
                              : std::string("the broker cannot be reached");
    with(context, [&](Connection& self) {
      self.finish({.good = false, .refused = refused, .problem = std::move(problem)});
    });
  }
  static void bad5(void* context, MQTTAsync_failureData5* data) {
    // A CONNACK's reason stands in `code`, a SUBACK's in `reasonCode`.
    const int reason = data == nullptr            ? 0
                       : data->reasonCode >= 0x80 ? static_cast<int>(data->reasonCode)
                       : data->code >= 0x80       ? data->code
                                                  : 0;
    std::string problem = reason != 0 ? "refused: " + reason_text(reason)
                          : data != nullptr && data->message != nullptr
                              ? std::string(data->message)
                              : std::string("the broker cannot be reached");
    with(context, [&](Connection& self) {
      self.finish({.good = false, .refused = reason != 0, .problem = std::move(problem)});
    });
  }
  static void published(void* context, MQTTAsync_successData*) { release(context); }
  static void published5(void* context, MQTTAsync_successData5*) { release(context); }
  static void not_published(void* context, MQTTAsync_failureData*) { release(context); }
  static void not_published5(void* context, MQTTAsync_failureData5*) { release(context); }
  static void release(void* context) {
    with(context, [](Connection& self) {
      if (self.inflight_.fetch_sub(1) != 1) return;
      { const std::lock_guard lock(self.mutex_); }  // so that a waiter sees it or is waiting
      self.changed_.notify_all();
    });
  }
};

Connection::Connection(const Options& options, const Handlers& handlers)
    : options_(options), handlers_(handlers), window_(options.inflight_max) {
  gate_ = CallbackGate::open(this);  // last: what enters finds everything made
}

Connection::~Connection() {
  if (handle_ != nullptr) {
    MQTTAsync handle = handle_;
    MQTTAsync_destroy(&handle);
  }
  gate_->close();
}

Result<bool> Connection::connect(const std::optional<Will>& will) {
  const bool v5 = options_.version == Version::v5;
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  create.sendWhileDisconnected = 0;
  create.maxBufferedMessages = inflight_of(options_);  // else 100
  const std::string url = std::string(options_.tls ? "ssl://" : "tcp://") + options_.host + ":" +
                          std::to_string(options_.port);
  MQTTAsync handle = nullptr;
  if (const int failed =
          MQTTAsync_createWithOptions(&handle, url.c_str(), options_.client_id.c_str(),
                                      MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create)) {
    return about(options_, {Errc::io, "cannot make a client: " + std::to_string(failed)});
  }
  handle_ = handle;
  MQTTAsync_setCallbacks(handle, gate_, &Callbacks::lost, &Callbacks::arrived, nullptr);
  if (v5) MQTTAsync_setDisconnected(handle, gate_, &Callbacks::disconnected);

  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  if (v5) connect = MQTTAsync_connectOptions_initializer5;
  // The library asks after so long without a word and gives up 1.5 times that later: 2.5 in all.
  connect.keepAliveInterval = seconds_of(options_.keep_alive / 2, 1);
  connect.connectTimeout = seconds_of(options_.connect_timeout, 1);
  connect.maxInflight = inflight_of(options_);
  connect.automaticReconnect = 0;
  // Named here too: left open, the library tries MQTT 3.1 by itself after 3.1.1, with this will.
  connect.MQTTVersion = create.MQTTVersion;
  connect.context = gate_;
  MQTTProperties properties = MQTTProperties_initializer;
  const FreeProperties free_properties{&properties};
  if (v5) {
    connect.cleanstart = options_.clean_start ? 1 : 0;
    add_number(properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
               static_cast<std::uint32_t>(seconds_of(options_.session_expiry, 0)));
    add_number(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, options_.packet_bytes_max);
    add_number(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, options_.receive_max);
    connect.connectProperties = &properties;
    connect.onSuccess5 = &Callbacks::good5;
    connect.onFailure5 = &Callbacks::bad5;
  } else {
    connect.cleansession = options_.clean_start ? 1 : 0;
    connect.onSuccess = &Callbacks::good;
    connect.onFailure = &Callbacks::bad;
  }
  if (!options_.username.empty()) connect.username = options_.username.c_str();
  if (options_.password) {
    connect.binarypwd.data = options_.password->reveal().data();
    connect.binarypwd.len = static_cast<int>(options_.password->reveal().size());
  }
  MQTTAsync_willOptions will_options = MQTTAsync_willOptions_initializer;
  if (will) {
    will_options.topicName = will->topic.c_str();
    will_options.payload.data = will->payload.data();
    will_options.payload.len = static_cast<int>(will->payload.size());
    will_options.qos = will->qos;
    will_options.retained = will->retain ? 1 : 0;
    connect.will = &will_options;
  }
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  if (options_.tls) {
    const Tls& from = *options_.tls;
    if (!from.ca_file.empty()) tls.trustStore = from.ca_file.c_str();
    if (!from.certificate_file.empty()) tls.keyStore = from.certificate_file.c_str();
    if (!from.key_file.empty()) tls.privateKey = from.key_file.c_str();
    tls.enableServerCertAuth = from.verify ? 1 : 0;
    tls.verify = from.verify ? 1 : 0;
    tls.disableDefaultTrustStore = from.ca_file.empty() ? 0 : 1;
    tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;  // the least
    connect.ssl = &tls;
  }
  if (const int failed = MQTTAsync_connect(handle, &connect)) {
    return about(options_, {Errc::io, "cannot begin to connect: " + std::to_string(failed)});
  }
  auto present = wait_outcome(options_.connect_timeout + std::chrono::seconds(2), "connect");
  if (present) {
    send_at_once(options_.port);
    connected_ = true;
  }
  return present;
}

Result<void> Connection::subscribe(const std::vector<Subscription>& subscriptions) {
  if (subscriptions.empty()) return {};
  std::vector<char*> filters;
  std::vector<int> levels;
  for (const auto& one : subscriptions) {
    filters.push_back(const_cast<char*>(one.filter.c_str()));  // the library only reads them
    levels.push_back(one.qos);
  }
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = gate_;
  if (options_.version == Version::v5) {
    response.onSuccess5 = &Callbacks::subscribed5;
    response.onFailure5 = &Callbacks::bad5;
  } else {
    response.onSuccess = &Callbacks::subscribed;
    response.onFailure = &Callbacks::bad;
  }
  {
    const std::lock_guard lock(mutex_);
    outcome_ = {};
    filters_ = subscriptions.size();
  }
  if (MQTTAsync_subscribeMany(handle_, static_cast<int>(filters.size()), filters.data(),
                              levels.data(), &response) != MQTTASYNC_SUCCESS) {
    return about(options_, {Errc::io, "cannot subscribe to " + subscriptions.front().filter});
  }
  if (auto done = wait_outcome(options_.connect_timeout, "subscribe"); !done) {
    return within("subscribe to " + subscriptions.front().filter, std::move(done).error());
  }
  return {};
}

Error Connection::wait_until_lost() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return lost_.has_value(); });
  return about(options_, *lost_);
}

void Connection::give_up(Error reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!lost_) lost_ = std::move(reason);
  }
  changed_.notify_all();
}

void Connection::disconnect(Micros flush_for) {
  // The library's own waiting leaves out what it has not begun to send.
  const auto until = std::chrono::steady_clock::now() + flush_for;
  for (std::unique_lock lock(mutex_);
       connected_ && inflight_ > 0 && std::chrono::steady_clock::now() < until;) {
    changed_.wait_for(lock, std::chrono::milliseconds(5));
  }
  if (!connected_.exchange(false)) return;
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  if (options_.version == Version::v5) options = MQTTAsync_disconnectOptions_initializer5;
  options.timeout = static_cast<int>(flush_for.count() / 1000);  // ms, for messages in flight
  options.context = gate_;
  if (options_.version == Version::v5) {
    options.onSuccess5 = &Callbacks::ended5;
    options.onFailure5 = &Callbacks::bad5;
  } else {
    options.onSuccess = &Callbacks::good;
    options.onFailure = &Callbacks::bad;
  }
  std::unique_lock lock(mutex_);
  outcome_ = {};
  lock.unlock();
  if (MQTTAsync_disconnect(handle_, &options) != MQTTASYNC_SUCCESS) return;
  lock.lock();
  changed_.wait_for(lock, flush_for + std::chrono::seconds(1), [this] { return outcome_.done; });
}

Result<void> Connection::publish(std::string_view topic, std::string_view payload, int qos,
                                 bool retain) {
  if (!connected_) return Error{Errc::io, "not connected to " + options_.host};
  const std::size_t bound = qos == 0 ? options_.inflight_max : window_.load();
  if (inflight_.fetch_add(1) >= bound) {
    inflight_.fetch_sub(1);
    return Error{Errc::limit,
                 "the broker has not taken " + std::to_string(bound) + " earlier messages yet"};
  }
  MQTTAsync_message message = MQTTAsync_message_initializer;
  message.payload = const_cast<char*>(payload.data());  // copied by the library
  message.payloadlen = static_cast<int>(payload.size());
  message.qos = qos;
  message.retained = retain ? 1 : 0;
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = gate_;
  if (options_.version == Version::v5) {
    response.onSuccess5 = &Callbacks::published5;
    response.onFailure5 = &Callbacks::not_published5;
  } else {
    response.onSuccess = &Callbacks::published;
    response.onFailure = &Callbacks::not_published;
  }
  const int failed =
      MQTTAsync_sendMessage(handle_, std::string(topic).c_str(), &message, &response);
  if (failed == MQTTASYNC_SUCCESS) return {};
  inflight_.fetch_sub(1);
  if (failed == MQTTASYNC_MAX_BUFFERED_MESSAGES || failed == MQTTASYNC_NO_MORE_MSGIDS) {
    return Error{Errc::limit, "too many messages under way"};
  }
  return failed == MQTTASYNC_DISCONNECTED
             ? Error{Errc::io, "not connected to " + options_.host}
             : Error{Errc::bad_input,
                     "cannot publish to \"" + std::string(topic) + "\": " + std::to_string(failed)};
}

void Connection::finish(Outcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    outcome_.done = true;
  }
  changed_.notify_all();
}

Result<bool> Connection::wait_outcome(Micros timeout, const char* doing) {
  std::unique_lock lock(mutex_);
  const bool answered =
      changed_.wait_for(lock, timeout, [this] { return outcome_.done || lost_.has_value(); });
  if (outcome_.done && outcome_.good) return outcome_.session_present;
  if (!answered) return about(options_, {Errc::timeout, std::string("no answer to ") + doing});
  if (!outcome_.done) return about(options_, *lost_);
  return about(options_, {outcome_.refused ? Errc::denied : Errc::io, outcome_.problem});
}

Error about(const Options& options, Error error) {
  return within("broker " + options.host + ":" + std::to_string(options.port), std::move(error));
}

}  // namespace lapwing::mqtt
