// SPDX-License-Identifier: Apache-2.0
/// A small synchronous HTTP(S) client for command lines.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/time.hpp"
#include "shared/http/events.hpp"
#include "shared/http/message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace lapwing::http {

/// `https://hub.example:8443`: scheme, host, port.
struct Origin {
  bool tls = true;
  std::string host;  ///< without brackets
  std::uint16_t port = 443;
  /// As a URL, without a slash at the end.
  [[nodiscard]] std::string text() const;
};
/// bad_input: not http or https, no host, a bad port, or a path, user or query.
Result<Origin> parse_origin(std::string_view url);

struct ClientOptions {
  Origin origin;
  /// PEM with the authority to trust; empty: the system's. The server's name is always checked.
  std::filesystem::path ca_file;
  Secret<std::string> bearer;                         ///< empty: no Authorization header
  Micros connect_timeout = std::chrono::seconds(10);  ///< name, TCP and TLS together
  Micros request_timeout = std::chrono::seconds(30);  ///< request and response
  Micros silence_max = std::chrono::seconds(45);  ///< on an event stream: three missed heartbeats
  std::uint64_t body_bytes_max = std::uint64_t{16} << 20U;
};

struct RequestOptions {
  Pairs headers;  ///< beside the usual ones
  /// Asked to stop, a request that sends, waits or reads ends at once with shutting_down; one that
  /// looks up the host or connects does after that.
  std::stop_token stop;
};

/// One connection per request. Responses of any status are values; errors are: io (host unknown,
/// refused, cut), denied (the server's certificate; the text says why), timeout, limit (body too
/// large), bad_config (CA file), corrupt (not HTTP).
/// Threads: distinct objects are safe. Blocks the caller.
class Client {
 public:
  explicit Client(ClientOptions options) : options_(std::move(options)) {}

  Result<Response> get(std::string_view target) const { return request(Method::get, target); }
  Result<Response> post(std::string_view target, std::string json_body) const {
    return request(Method::post, target, std::move(json_body));
  }
  Result<Response> request(Method method, std::string_view target, std::string body = {},
                           const RequestOptions& how = {}) const;

  /// Follows an event stream: `on_event` for each event until it returns false (done) or the stream
  /// ends. `on_open` once the server agreed. A status other than 200 is given to `on_refused`, and
  /// the call ends without an error. `last_event_id` may be empty.
  struct EventHandlers {
    std::function<bool(const Event&)> on_event;
    std::function<void()> on_open = nullptr;
    std::function<void(const Response&)> on_refused = nullptr;
  };
  Result<void> events(std::string_view target, std::string_view last_event_id,
                      const EventHandlers& handlers) const;

 private:
  ClientOptions options_;
};

}  // namespace lapwing::http
