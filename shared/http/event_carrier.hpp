// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: a connection that carries an event stream. Not for others.
#pragma once

#include "shared/http/byte_stream.hpp"
#include "shared/http/connection.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace lapwing::http {

/// Writes a response's events to one peer until either of them, a limit or the server ends it.
/// Ownership: shared with its own operations, and through it the stream.
/// Threads: the network thread; the event stream wakes it from any.
class EventCarrier : public std::enable_shared_from_this<EventCarrier> {
 public:
  EventCarrier(ServerState& state, std::shared_ptr<ByteStream> stream)
      : state_(state), stream_(std::move(stream)), wake_(stream_->executor()) {}

  /// `response.stream` is set. False: the peer went away. No operation runs afterwards.
  net::awaitable<bool> run(Response response);
  /// Looks whether the server stops.
  void end_waiting() { wake_.cancel(); }

 private:
  net::awaitable<void> watch_peer();
  net::awaitable<void> stop_watching();
  net::awaitable<void> pump(EventStream& events);
  void attach_to(EventStream& events);
  void count_dropped() const;

  ServerState& state_;
  std::shared_ptr<ByteStream> stream_;
  net::steady_timer wake_;
  bool awake_ = false;      ///< the event stream has something
  bool watching_ = false;   ///< watch_peer() runs
  bool peer_gone_ = false;  ///< seen by it
};

}  // namespace lapwing::http
