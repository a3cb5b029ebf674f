// SPDX-License-Identifier: Apache-2.0
#include "shared/http/connection.hpp"

#include "shared/base/log.hpp"
#include "shared/base/time.hpp"
#include "shared/http/byte_stream.hpp"
#include "shared/http/event_carrier.hpp"
#include "shared/http/events.hpp"
#include "shared/http/request_reader.hpp"
#include "shared/http/response_bytes.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace lapwing::http {
namespace {

constexpr std::size_t kLingerBytes = std::size_t{1} << 20U;

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

class Connection final : public OpenConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerState& state, std::shared_ptr<ByteStream> stream, std::string remote)
      : state_(state),
        limits_(state.options.limits),
        stream_(std::move(stream)),
        buffer_(limits_.header_bytes + kReadAhead),
        remote_(std::move(remote)) {}

  net::awaitable<void> run() {
    auto self = shared_from_this();
    const auto id = state_.next_connection_id++;
    state_.connections.emplace(id, this);
    show_connections();
    if (co_await handshake()) {
      for (std::uint32_t count = 1; co_await serve_one(count); ++count) {
      }
      co_await close();
    }
    error_code ignored;
    stream_->close(ignored);
    state_.connections.erase(id);
    if (leaving_) --state_.leaving;
    show_connections();
    if (state_.on_connection_end) state_.on_connection_end();
  }

  void end_waiting() override {
    if (idle_) stream_->cancel();
    if (carrier_) carrier_->end_waiting();
  }
  [[nodiscard]] std::optional<Ticks> waiting_since() const override { return waiting_since_; }
  void give_way() override {
    waiting_since_.reset();
    leaving_ = true;
    peer_gone_ = true;  // no lingering
    ++state_.leaving;
    error_code ignored;
    stream_->close(ignored);
  }

 private:
  static constexpr std::size_t kReadAhead = std::size_t{64} << 10U;

  void show_connections() const {
    if (state_.options.metrics == nullptr) return;
    state_.options.metrics->gauge("http_connections", "Open HTTP connections")
        .set(static_cast<double>(state_.connections.size()));
  }

  net::awaitable<bool> handshake() {
    if (stream_->tls() == nullptr) co_return true;
    stream_->expires_after(limits_.handshake);
    error_code ec;
    waiting_since_ = ticks_now();
    co_await stream_->handshake(net::ssl::stream_base::server, ec);
    waiting_since_.reset();
    if (leaving_) co_return false;
    if (ec) state_.refused("tls_handshake");
    co_return !ec;
  }

  /// Waits for the first bytes of a request. A peer that connects to say nothing is given as long
  /// as one that does not end its request.
  net::awaitable<bool> begin_request(bool first) {
    if (buffer_.size() > 0) co_return true;
    if (state_.stopping) co_return false;
    error_code ec;
    stream_->expires_after(first ? limits_.read : limits_.idle);
    idle_ = true;
    const auto bytes = co_await stream_->read_some(buffer_.prepare(4096), ec);
    idle_ = false;
    if (first && ec == boost::beast::error::timeout) state_.refused("read_timeout");
    if (!ec) buffer_.commit(bytes);
    co_return !ec;
  }

  /// Request number `number`. Whether the connection may carry another one.
  net::awaitable<bool> serve_one(std::uint32_t number) {
    const bool last = number >= limits_.connection_requests;
    waiting_since_ = ticks_now();
    if (!co_await begin_request(number == 1)) co_return false;
    error_code ec;
    stream_->expires_after(limits_.read);
    auto incoming = co_await read_request(state_, *stream_, buffer_, ec);
    waiting_since_.reset();
    if (leaving_) co_return false;
    if (ec) {
      auto refusal = refusal_of(state_, ec);
      if (refusal) co_await write(*std::move(refusal), {});
      co_return false;
    }
    const auto began = ticks_now();
    const bool keep = incoming.keep_alive && !last && !state_.stopping;
    auto response = co_await answer(incoming);
    count(response.status, ticks_now() - began);
    if (response.stream && !incoming.head) {
      carrier_ = std::make_shared<EventCarrier>(state_, stream_);
      peer_gone_ = !co_await carrier_->run(std::move(response));
      co_return false;
    }
    const bool written =
        co_await write(std::move(response),
                       {.version = incoming.version, .keep_alive = keep, .head = incoming.head});
    if (!written) co_return false;
    co_return keep && !state_.stopping;
  }

  net::awaitable<Response> answer(Incoming& incoming) {
    if (incoming.refusal) co_return *std::move(incoming.refusal);
    auto& request = incoming.request;
    request.remote = remote_;
    Response response;
    if (state_.workers != nullptr && !state_.router.quick(request)) {
      response =
          co_await net::co_spawn(state_.workers->get_executor(),
                                 answer_on_worker(&state_.router, &request), net::use_awaitable);
    } else {
      response = answer_guarded(state_.router, request);
    }
    if (response.stream && state_.event_streams >= limits_.event_streams) {
      state_.refused("event_streams");
      response.stream->detach();
      response = problem(503, "too many event streams are open; try again later", request.path);
      response.headers.emplace_back("Retry-After", "10");
    }
    co_return response;
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

  /// Whether all of it was written.
  net::awaitable<bool> write(Response response, Framing framing) {
    const auto bytes = response_bytes(std::move(response), framing);
    stream_->expires_after(limits_.write);
    error_code ec;
    waiting_since_ = ticks_now();
    co_await stream_->write(bytes, ec);
    waiting_since_.reset();
    if (ec == boost::beast::error::timeout) state_.refused("write_timeout");
    co_return !ec;
  }

  /// Lets the peer read what was written: says goodbye, then discards what still arrives, since a
  /// close with unread bytes resets the connection.
  net::awaitable<void> close() {
    error_code ec;
    stream_->expires_after(kLinger);
    if (peer_gone_) co_return;
    waiting_since_ = ticks_now();
    co_await stream_->say_goodbye(ec);
    stream_->close_sending(ec);
    ec = {};
    for (std::size_t bytes = 0; !ec && bytes < kLingerBytes && !state_.stopping;) {
      idle_ = true;
      bytes += co_await stream_->discard_some(ec);
      idle_ = false;
    }
  }

  ServerState& state_;
  const Limits& limits_;
  std::shared_ptr<ByteStream> stream_;
  std::shared_ptr<EventCarrier> carrier_;  ///< once the connection carries events
  boost::beast::flat_buffer buffer_;
  std::string remote_;
  bool idle_ = false;       ///< waits for the peer: may be cut when the server stops
  bool peer_gone_ = false;  ///< seen while it carried events
  bool leaving_ = false;    ///< it gave way
  std::optional<Ticks> waiting_since_;
};

}  // namespace

bool ServerState::make_room() {
  if (connections.size() - leaving < options.limits.connections) return true;
  refused("connections");
  OpenConnection* longest = nullptr;
  for (const auto& [id, one] : connections) {
    const auto since = one->waiting_since();
    if (since && (longest == nullptr || *since < *longest->waiting_since())) longest = one;
  }
  if (longest != nullptr) longest->give_way();
  return longest != nullptr;
}

net::awaitable<void> serve(ServerState& state, net::ip::tcp::socket socket) {
  error_code ec;
  const auto peer = socket.remote_endpoint(ec);
  if (ec) co_return;
  socket.set_option(net::ip::tcp::no_delay(true), ec);
  auto stream =
      std::make_shared<ByteStream>(boost::beast::tcp_stream(std::move(socket)), state.tls);
  auto connection =
      std::make_shared<Connection>(state, std::move(stream), peer.address().to_string());
  co_await connection->run();
}

}  // namespace lapwing::http
