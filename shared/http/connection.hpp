// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: what the server and its connections share. Not for others.
#pragma once

#include "shared/base/metrics.hpp"
#include "shared/base/time.hpp"
#include "shared/http/server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lapwing::http {

namespace net = boost::asio;

/// How long a peer may take to read the end of what was written.
constexpr auto kLinger = std::chrono::seconds(2);

/// What the server may ask of a connection. Threads: the network thread's.
class OpenConnection {
 public:
  virtual ~OpenConnection() = default;
  /// Ends it where it waits; one that answers ends after the answer.
  virtual void end_waiting() = 0;
  /// Since when it waits for its peer to say, read or end something; nullopt: it does not.
  [[nodiscard]] virtual std::optional<Ticks> waiting_since() const = 0;
  /// Ends it at once.
  virtual void give_way() = 0;
};

/// Threads: the network thread's, but for `router` and `workers`.
struct ServerState {
  ServerOptions options;
  Router router;
  net::thread_pool* workers = nullptr;  ///< null: handlers run on the network thread
  net::ssl::context* tls = nullptr;     ///< null: plain
  bool stopping = false;                ///< no further request on any connection
  std::size_t event_streams = 0;        ///< open now
  std::uint64_t next_connection_id = 1;
  std::map<std::uint64_t, OpenConnection*> connections;
  std::size_t leaving = 0;  ///< of them: gave way, and end as soon as this thread looks at them
  std::function<void()> on_connection_end = nullptr;

  /// Room for one more: where there is none, the connection whose peer has been waited for longest
  /// gives way. False: all of them answer.
  bool make_room();

  void refused(std::string_view reason) const {
    if (options.metrics == nullptr) return;
    options.metrics
        ->counter("http_refused_total", "Requests and connections refused, by reason",
                  {{"reason", std::string(reason)}})
        .add();
  }
};

/// Serves one peer until it or a limit ends it.
net::awaitable<void> serve(ServerState& state, net::ip::tcp::socket socket);

}  // namespace lapwing::http
