// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: what the server and its connections share. Not for others.
#pragma once

#include "shared/base/metrics.hpp"
#include "shared/http/server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace lapwing::http {

namespace net = boost::asio;

/// How long a peer may take to read the end of what was written.
constexpr auto kLinger = std::chrono::seconds(2);

/// Threads: the network thread's, but for `router` and `workers`.
struct ServerState {
  ServerOptions options;
  Router router;
  net::thread_pool* workers = nullptr;  ///< null: handlers run on the network thread
  net::ssl::context* tls = nullptr;     ///< null: plain
  bool stopping = false;                ///< no further request on any connection
  std::size_t event_streams = 0;        ///< open now
  std::uint64_t next_connection_id = 1;
  /// Ends a connection that waits; one that answers ends after the answer.
  std::map<std::uint64_t, std::function<void()>> connections;
  std::function<void()> on_connection_end = nullptr;

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
