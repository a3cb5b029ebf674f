// SPDX-License-Identifier: Apache-2.0
#include "shared/http/connection.hpp"

#include "shared/base/log.hpp"
#include "shared/base/time.hpp"
#include "shared/http/events.hpp"
#include "shared/http/request_target.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <array>
#include <ctime>
#include <memory>

namespace lapwing::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using Fields = beast::http::fields;
using PlainStream = beast::tcp_stream;
using TlsStream = net::ssl::stream<beast::tcp_stream>;

constexpr auto kLinger = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = std::size_t{1} << 20U;

auto into(error_code& ec) { return net::redirect_error(net::use_awaitable, ec); }

std::string http_date() {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now());
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const auto length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), length};
}

/// Fields that every response carries.
void add_common_fields(Fields& fields) {
  fields.set("Date", http_date());
  fields.set("Content-Security-Policy",
             "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
             "form-action 'self'; frame-ancestors 'none'");
  fields.set("X-Content-Type-Options", "nosniff");
  fields.set("X-Frame-Options", "DENY");
  fields.set("Referrer-Policy", "no-referrer");
}

/// What the parser's error is worth to the peer; 0: nothing to answer, close.
unsigned status_of(const error_code& ec) {
  using beast::http::error;
  if (ec == error::header_limit || ec == error::buffer_overflow) return 431;
  if (ec == error::body_limit) return 413;
  if (ec == error::end_of_stream || ec == error::partial_message) return 0;
  if (ec.category() == beast::http::make_error_code(error::bad_method).category()) return 400;
  return 0;
}

std::string_view explain(unsigned status) {
  if (status == 431) return "the request line and headers are larger than this server takes";
  if (status == 413) return "the body is larger than this server takes";
  return "this is not a well-formed HTTP/1.1 request";
}

Response answer_guarded(const Router& router, Request& request) {
  try {
    return router.answer(request);
  } catch (const std::exception& failure) {
    log::error("a request handler failed", {{"path", request.path}, {"error", failure.what()}});
    return problem(500, "the server failed; its log says why", request.path);
  }
}

net::awaitable<Response> answer_on_worker(const Router* router, Request* request) {
  co_return answer_guarded(*router, *request);
}

template <class Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(ServerState& state, Stream stream, std::string remote)
      : state_(state),
        limits_(state.options.limits),
        stream_(std::move(stream)),
        buffer_(limits_.header_bytes + kReadAhead),
        wake_(stream_.get_executor()),
        remote_(std::move(remote)) {}

  net::awaitable<void> run() {
    auto self = this->shared_from_this();
    const auto id = state_.next_connection_id++;
    state_.connections.emplace(id, [this] { end_waiting(); });
    if (co_await handshake()) {
      for (std::uint32_t count = 1; co_await serve_one(count >= limits_.connection_requests);
           ++count) {
      }
      co_await close();
    }
    error_code ignored;
    lowest().socket().close(ignored);
    state_.connections.erase(id);
    if (state_.on_connection_end) state_.on_connection_end();
  }

 private:
  static constexpr std::size_t kReadAhead = std::size_t{64} << 10U;
  static constexpr bool kTls = !std::is_same_v<Stream, PlainStream>;

  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

  void end_waiting() {
    if (idle_) lowest().cancel();
    wake_.cancel();
  }

  net::awaitable<bool> handshake() {
    if constexpr (kTls) {
      lowest().expires_after(limits_.handshake);
      error_code ec;
      co_await stream_.async_handshake(net::ssl::stream_base::server, into(ec));
      if (ec) {
        state_.refused("tls_handshake");
        co_return false;
      }
    }
    co_return true;
  }

  /// Whether the connection may carry another request.
  net::awaitable<bool> serve_one(bool last) {
    error_code ec;
    if (buffer_.size() == 0) {
      if (state_.stopping) co_return false;
      lowest().expires_after(limits_.idle);
      idle_ = true;
      const auto bytes = co_await stream_.async_read_some(buffer_.prepare(4096), into(ec));
      idle_ = false;
      if (ec) co_return false;
      buffer_.commit(bytes);
    }
    beast::http::request_parser<beast::http::string_body> parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(limits_.body_bytes);
    lowest().expires_after(limits_.read);
    co_await beast::http::async_read(stream_, buffer_, parser, into(ec));
    if (ec) {
      co_await refuse(ec);
      co_return false;
    }
    auto message = parser.release();
    const bool head = message.method() == beast::http::verb::head;
    const auto began = ticks_now();
    bool keep = message.keep_alive() && !last && !state_.stopping;
    auto response = co_await answer(message);
    count(response.status, ticks_now() - began);
    if (response.stream && !head) {
      co_await carry(std::move(response));
      co_return false;
    }
    keep = co_await write(std::move(response), message.version(), keep, head) && keep;
    co_return keep && !state_.stopping;
  }

  net::awaitable<Response> answer(beast::http::request<beast::http::string_body>& message) {
    auto request = read_request(message);
    if (!request) co_return request.error();
    Response response;
    if (state_.workers != nullptr) {
      response =
          co_await net::co_spawn(state_.workers->get_executor(),
                                 answer_on_worker(&state_.router, &*request), net::use_awaitable);
    } else {
      response = answer_guarded(state_.router, *request);
    }
    if (response.stream && state_.event_streams >= limits_.event_streams) {
      state_.refused("event_streams");
      response.stream->detach();
      response = problem(503, "too many event streams are open; try again later", request->path);
      response.headers.emplace_back("Retry-After", "10");
    }
    co_return response;
  }

  struct Read {
    std::optional<Request> request;
    Response refusal;
    explicit operator bool() const { return request.has_value(); }
    Request& operator*() { return *request; }
    Request* operator->() { return &*request; }
    Response& error() { return refusal; }
  };

  Read read_request(beast::http::request<beast::http::string_body>& message) {
    const std::string_view target{message.target().data(), message.target().size()};
    if (target.size() > limits_.target_bytes) {
      return {.refusal = problem(414, "the address is longer than this server takes")};
    }
    if (message.version() >= 11 && message.count("host") != 1) {
      return {.refusal = problem(400, "a request has exactly one Host header")};
    }
    const auto host = message["host"];
    if (state_.options.local_names_only && !host.empty() &&
        !is_local_host({host.data(), host.size()})) {
      state_.refused("host");
      return {.refusal = problem(421, "this listener answers as localhost or 127.0.0.1 only")};
    }
    auto request = parse_target(target);
    if (!request) return {.refusal = problem(request.error())};
    const auto method = message.method_string();
    const auto known = method_from({method.data(), method.size()});
    if (!known) return {.refusal = problem(501, "this method is not understood", request->path)};
    request->method = *known;
    for (const auto& field : message) {
      const auto name = field.name_string();
      const auto value = field.value();
      request->headers.emplace_back(lower_case({name.data(), name.size()}),
                                    std::string(value.data(), value.size()));
    }
    request->body = std::move(message.body());
    request->remote = remote_;
    return {.request = *std::move(request), .refusal = {}};
  }

  void count(unsigned status, Ticks::duration took) {
    if (state_.options.metrics == nullptr) return;
    auto& metrics = *state_.options.metrics;
    metrics
        .counter("http_requests_total", "Requests answered, by class of status",
                 {{"class", std::to_string(status / 100) + "xx"}})
        .add();
    metrics
        .histogram("http_request_duration_seconds", "Time a handler took",
                   {0.001, 0.005, 0.02, 0.1, 0.5, 2})
        .observe(std::chrono::duration<double>(took).count());
  }

  template <class Message>
  void set_head(Message& out, const Response& response) {
    out.result(response.status);
    out.reason(std::string(reason_phrase(response.status)));
    add_common_fields(out);
    if (!response.content_type.empty()) out.set("Content-Type", response.content_type);
    for (const auto& [name, value] : response.headers) out.set(name, value);
  }

  net::awaitable<bool> write(Response response, unsigned version, bool keep, bool head) {
    beast::http::response<beast::http::string_body> out;
    out.version(version);
    set_head(out, response);
    out.keep_alive(keep);
    const bool bare = response.status == 204 || response.status == 304;
    if (!bare) out.content_length(response.body.size());
    if (!bare && !head) out.body() = std::move(response.body);
    lowest().expires_after(limits_.write);
    error_code ec;
    co_await beast::http::async_write(stream_, out, into(ec));
    if (ec == beast::error::timeout) state_.refused("write_timeout");
    co_return !ec;
  }

  net::awaitable<void> refuse(error_code ec) {
    if (ec == beast::error::timeout) state_.refused("read_timeout");
    const unsigned status = status_of(ec);
    if (status == 0) co_return;
    state_.refused(status == 431 ? "header_bytes" : status == 413 ? "body_bytes" : "malformed");
    co_await write(problem(status, explain(status)), 11, false, false);
  }

  // --- event streams
  // ------------------------------------------------------------------------------

  /// Notices that the peer went away while nothing is written.
  net::awaitable<void> watch_peer() {
    auto self = this->shared_from_this();
    std::array<char, 256> scratch;
    error_code ec;
    while (!ec) co_await stream_.async_read_some(net::buffer(scratch), into(ec));
    peer_gone_ = ec != net::error::operation_aborted;
    watching_ = false;
    wake_.cancel();
  }

  /// A TLS goodbye cannot be said while another operation reads.
  net::awaitable<void> stop_watching() {
    error_code ignored;
    if (watching_) lowest().cancel();
    while (watching_) {
      wake_.expires_after(kLinger);
      co_await wake_.async_wait(into(ignored));
    }
  }

  net::awaitable<void> carry(Response response) {
    const auto events = response.stream;
    ++state_.event_streams;
    beast::http::response<beast::http::empty_body> out;
    out.version(11);
    response.content_type = "text/event-stream";
    set_head(out, response);
    out.set("Cache-Control", "no-store");
    out.set("X-Accel-Buffering", "no");
    out.keep_alive(false);
    lowest().expires_after(limits_.write);
    error_code ec;
    beast::http::response_serializer<beast::http::empty_body> serializer(out);
    co_await beast::http::async_write_header(stream_, serializer, into(ec));
    if (!ec) {
      lowest().expires_never();
      watching_ = true;
      net::co_spawn(stream_.get_executor(), watch_peer(), net::detached);
      std::weak_ptr<Connection> weak = this->weak_from_this();
      const auto executor = stream_.get_executor();
      events->attach([weak, executor] {
        net::post(executor, [weak] {
          if (const auto self = weak.lock()) {
            self->awake_ = true;
            self->wake_.cancel();
          }
        });
      });
      co_await pump(*events);
      co_await stop_watching();
    }
    events->detach();
    --state_.event_streams;
  }

  net::awaitable<void> pump(EventStream& events) {
    error_code ec;
    while (!peer_gone_ && !state_.stopping) {
      awake_ = false;
      auto taken = events.take();
      if (taken.overflowed && state_.options.metrics != nullptr) {
        state_.options.metrics
            ->counter("http_event_streams_dropped_total",
                      "Event streams ended because the client read too slowly")
            .add();
      }
      if (!taken.bytes.empty()) {
        lowest().expires_after(limits_.write);
        co_await net::async_write(stream_, net::buffer(taken.bytes), into(ec));
        if (ec) {
          if (ec == beast::error::timeout) state_.refused("write_timeout");
          break;
        }
      }
      if (taken.end) break;
      if (!taken.bytes.empty()) events.drained();
      if (awake_) continue;
      wake_.expires_after(limits_.heartbeat);
      co_await wake_.async_wait(into(ec));
      if (!ec && !awake_) events.comment("");
    }
  }

  // --- the end
  // ------------------------------------------------------------------------------------

  /// Lets the peer read what was written: says goodbye, then discards what still arrives, since a
  /// close with unread bytes resets the connection.
  net::awaitable<void> close() {
    error_code ec;
    lowest().expires_after(kLinger);
    if (peer_gone_) co_return;
    if constexpr (kTls) co_await stream_.async_shutdown(into(ec));
    lowest().socket().shutdown(net::ip::tcp::socket::shutdown_send, ec);
    std::array<char, 4096> scratch;
    ec = {};
    for (std::size_t bytes = 0; !ec && bytes < kLingerBytes && !state_.stopping;) {
      idle_ = true;
      bytes += co_await lowest().async_read_some(net::buffer(scratch), into(ec));
      idle_ = false;
    }
  }

  ServerState& state_;
  const Limits& limits_;
  Stream stream_;
  beast::flat_buffer buffer_;
  net::steady_timer wake_;
  std::string remote_;
  bool idle_ = false;       ///< waits for the peer: may be cut when the server stops
  bool awake_ = false;      ///< the event stream has something
  bool watching_ = false;   ///< watch_peer() runs
  bool peer_gone_ = false;  ///< seen by it
};

}  // namespace

net::awaitable<void> serve(ServerState& state, net::ip::tcp::socket socket) {
  error_code ec;
  const auto peer = socket.remote_endpoint(ec);
  if (ec) co_return;
  socket.set_option(net::ip::tcp::no_delay(true), ec);
  auto remote = peer.address().to_string();
  beast::tcp_stream plain(std::move(socket));
  if (state.tls == nullptr) {
    auto connection =
        std::make_shared<Connection<PlainStream>>(state, std::move(plain), std::move(remote));
    co_await connection->run();
  } else {
    auto connection = std::make_shared<Connection<TlsStream>>(
        state, TlsStream(std::move(plain), *state.tls), std::move(remote));
    co_await connection->run();
  }
}

}  // namespace lapwing::http
