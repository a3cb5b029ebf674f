// SPDX-License-Identifier: Apache-2.0
/// A small HTTP/1.1 server, plain or TLS, for API, page, metrics and live events.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/http/router.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace lapwing {
class Metrics;
}

namespace lapwing::http {

/// What one peer may cost. At a bound the request is answered with the fitting problem where that
/// is still possible (400, 413, 431, 503), else the connection is closed; both are counted
/// (lapwing_http_refused_total by reason).
struct Limits {
  std::uint32_t header_bytes = 16U << 10U;  ///< request line and headers
  std::uint64_t body_bytes = 64U << 10U;    ///< of a request; see also Router::allow_body
  std::uint32_t target_bytes = 4U << 10U;   ///< path and query
  /// At once. For one more that connection is closed whose peer has been waited for longest (no
  /// request, or half of one); where all of them answer, the newest.
  std::size_t connections = 256;
  std::size_t event_streams = 128;            ///< at once; more get 503
  std::uint32_t connection_requests = 1'000;  ///< then it is closed
  Micros handshake = std::chrono::seconds(10);
  Micros idle = std::chrono::seconds(60);   ///< between requests
  Micros read = std::chrono::seconds(10);   ///< until the first request began; a whole request
  Micros write = std::chrono::seconds(20);  ///< a whole response
  Micros event_write = std::chrono::seconds(10);  ///< one piece of an event stream
  Micros heartbeat = std::chrono::seconds(15);    ///< comment on a stream that has nothing to say
};

struct TlsFiles {
  std::filesystem::path certificate_file;  ///< PEM, chain allowed
  std::filesystem::path key_file;          ///< PEM
};

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< an IP address of this machine
  std::uint16_t port = 0;             ///< 0: any free one
  std::optional<TlsFiles> tls;        ///< TLS 1.2 or later
  /// Answer only requests for `localhost` or a loopback address: for a listener without
  /// credentials, which a web page could otherwise reach by a name of its own.
  bool local_names_only = false;
  Limits limits;
  /// Threads that run handlers; 0: the network thread runs them, which is right where they never
  /// block.
  unsigned workers = 0;
  Metrics* metrics = nullptr;  ///< must outlive the server
};

/// Serves until stopped: one network thread and `workers` for handlers.
///
/// Every response carries Content-Security-Policy (own origin only), X-Content-Type-Options,
/// X-Frame-Options and Referrer-Policy. HEAD is answered as GET without the body.
/// Errors of start: bad_config (address, certificate or key: the file is named), exists (port in
///   use), denied (port below 1024 without the right), io.
/// Threads: start and stop from one thread; port() from any.
class Server {
 public:
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Router router);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens no more, ends streams and idle connections, lets running handlers end and answer
  /// (seconds at most). Repeatable.
  void stop();

  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] const Router& router() const noexcept;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapwing::http
