// SPDX-License-Identifier: Apache-2.0
/// One MQTT connection, kept up: TLS, own reconnect, subscribe, bounded publish. Paho inside.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::mqtt {

enum class Version : std::uint8_t { v3_1_1 = 4, v5 = 5 };

struct Tls {
  std::filesystem::path ca_file;           ///< PEM; empty: the system's authorities
  std::filesystem::path certificate_file;  ///< PEM, with key_file; empty: no client certificate
  std::filesystem::path key_file;
  bool verify = true;  ///< the broker's chain and name; false only for tests
};

struct Will {
  std::string topic;
  std::string payload;
  int qos = 1;
  bool retain = false;
};

struct Subscription {
  std::string filter;
  int qos = 1;
};

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 1883;
  std::string client_id;
  Version version = Version::v5;
  std::optional<Tls> tls;
  std::string username;
  std::optional<Secret<std::string>> password;
  Micros keep_alive = std::chrono::seconds(30);  ///< a dead connection is lost after 1.5 times this
  Micros connect_timeout = std::chrono::seconds(10);
  bool clean_start = true;
  Micros session_expiry{0};       ///< MQTT 5; how long the broker keeps the session without us
  std::size_t inflight_max = 64;  ///< publishes not yet taken by the broker; beyond: Errc::limit
  std::uint32_t packet_bytes_max = 16U << 20;  ///< MQTT 5: the broker sends nothing longer
  std::uint16_t receive_max = 1000;            ///< MQTT 5: QoS 1 messages the broker may have open
  Micros backoff_min = std::chrono::milliseconds(200);  ///< first reconnect delay's upper end
  Micros backoff_max = std::chrono::seconds(30);
  std::uint64_t backoff_seed = 0;  ///< 0: random; else the same delays each time
};

/// A message received. Borrowed: valid only during the call.
struct Message {
  std::string_view topic;
  std::string_view payload;
  int qos = 0;
  bool retained = false;
  bool duplicate = false;
};

/// Where an attempt to connect goes.
struct Target {
  std::string host;
  std::uint16_t port = 1883;
  std::filesystem::path ca_file;  ///< with Options::tls
};

/// What the owner is told. All may be empty. None may call Client::stop or destroy the client.
struct Handlers {
  /// Subscriptions are in place. On the client's own thread.
  std::function<void(bool session_present)> on_connected;
  /// The connection was lost or could not be made (also each time a retry fails). On the client's
  /// own thread.
  std::function<void(const Error&)> on_disconnected;
  /// On the library's receiving thread, which all clients of the process share: copy and return. A
  /// wait here holds back the broker (TCP) and every other client.
  std::function<void(const Message&)> on_message;
  /// Called before every attempt to connect, on the client's own thread: where it goes, instead of
  /// the options' broker. For an owner that knows several.
  std::function<Target()> choose;
  /// Called before every attempt to connect; the will of that connection.
  std::function<std::optional<Will>()> make_will;
  /// Called before every attempt to connect, on the client's own thread: its certificates, instead
  /// of the options'. For an owner whose certificate is renewed.
  std::function<Tls()> identify;
};

/// Totals since the client was made.
struct Counters {
  std::uint64_t connects = 0;   ///< connections made
  std::uint64_t losses = 0;     ///< connections lost
  std::uint64_t failures = 0;   ///< attempts that failed
  std::uint64_t published = 0;  ///< messages handed to the connection
  std::uint64_t refused = 0;    ///< messages not taken: not connected, or inflight_max
};

/// Keeps one connection to one broker.
///
/// Reconnects by itself with full-jitter back-off and subscribes again; a broker that is absent at
/// the start is one more reason to retry. Nothing is buffered while offline.
/// Threads: every function may be called from any thread, but not from a handler where said so.
/// Back-off starts anew after a connection that lasted; two clients with one id, which end each
/// other's connections, so slow down.
/// Errors: an error text names broker, certificate file and remedy; never a password. Where the
/// broker cannot be reached, one connection of our own (at most every half minute) finds out why.
/// Cost: the library notices a new connection only when its receiving thread next looks: with
/// other, silent clients in the process, connecting takes up to two seconds.
class Client {
 public:
  Client(Options options, Handlers handlers);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Filters for this and every later connection; replaces the earlier ones. Before start().
  void subscribe(std::vector<Subscription> subscriptions);
  /// Begins connecting in the background. Errors: bad_config (a certificate or key cannot be read).
  Result<void> start();
  /// Sends what was published (up to a second), disconnects, ends the thread. Repeatable.
  void stop();

  /// Hands a message to the broker connection; never blocks. Errors: io (not connected), limit
  /// (inflight_max is reached, or at QoS 1 and MQTT 5 the broker's receive maximum: mosquitto's
  /// max_inflight_messages, 20 unless configured), bad_input (topic).
  Result<void> publish(std::string_view topic, std::string_view payload, int qos,
                       bool retain = false);
  [[nodiscard]] bool connected() const noexcept;
  [[nodiscard]] Counters counters() const noexcept;
  /// Gives up the connection and makes a new one.
  void reconnect(const std::string& reason);
  /// Gives up the connection or the attempt under way, and begins the next attempt at once:
  /// `choose` has another answer. What was published before has a moment to leave. From any thread.
  void move(const std::string& reason);
  /// Gives up the connection and makes none until resume(); a few messages may still arrive. For
  /// an owner that has no room for messages and must not wait in on_message. From any thread and
  /// handler.
  void pause(const std::string& reason);
  void resume();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::mqtt
