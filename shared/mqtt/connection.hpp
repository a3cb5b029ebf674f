// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: one attempt to connect and, when it succeeds, that one connection.
#pragma once

#include "shared/base/result.hpp"
#include "shared/mqtt/callback_gate.hpp"
#include "shared/mqtt/client.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::mqtt {

/// Wraps one MQTTAsync handle; made anew for each attempt, so that no state of an earlier
/// connection is left. Threads: publish and connected from any; the rest from the client's thread.
class Connection {
 public:
  Connection(const Options& options, const Handlers& handlers);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Whether the broker kept a session for us. Errors: denied (the broker said no), io, timeout.
  Result<bool> connect(const std::optional<Will>& will);
  Result<void> subscribe(const std::vector<Subscription>& subscriptions);
  /// Returns when the connection is lost or give_up() was called; the reason.
  Error wait_until_lost();
  /// Any thread: ends connect, subscribe and wait_until_lost.
  void give_up(Error reason);
  void disconnect(Micros flush_for);

  Result<void> publish(std::string_view topic, std::string_view payload, int qos, bool retain);
  [[nodiscard]] bool connected() const noexcept { return connected_.load(); }

 private:
  friend struct Callbacks;
  struct Outcome {
    bool done = false;
    bool good = false;
    bool session_present = false;
    bool refused = false;  ///< the broker answered, and said no
    std::string problem;
  };

  void finish(Outcome outcome);
  Result<bool> wait_outcome(Micros timeout, const char* doing);

  const Options options_;  // of this attempt
  const Handlers& handlers_;
  CallbackGate* gate_ = nullptr;
  void* handle_ = nullptr;
  std::atomic<bool> connected_{false};
  std::atomic<std::size_t> inflight_{0};
  std::atomic<std::size_t> window_;  // how many at QoS 1 and 2

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Outcome outcome_;
  std::optional<Error> lost_;
  std::atomic<std::size_t> filters_{0};  // of the subscription under way
};

/// The error with the broker's address in front.
Error about(const Options& options, Error error);

}  // namespace lapwing::mqtt
