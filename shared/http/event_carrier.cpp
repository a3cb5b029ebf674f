// SPDX-License-Identifier: Apache-2.0
#include "shared/http/event_carrier.hpp"

#include "shared/http/events.hpp"
#include "shared/http/response_bytes.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/error.hpp>

#include <array>
#include <utility>

namespace lapwing::http {
namespace {

constexpr int kSocketBytes = 64 << 10;  // the kernel doubles it

}  // namespace

/// Notices that the peer went away while nothing is written.
net::awaitable<void> EventCarrier::watch_peer() {
  auto self = shared_from_this();
  std::array<char, 256> scratch;
  error_code ec;
  while (!ec) co_await stream_->read_some(net::buffer(scratch), ec);
  peer_gone_ = ec != net::error::operation_aborted;
  watching_ = false;
  wake_.cancel();
}

/// A TLS goodbye cannot be said while another operation reads.
net::awaitable<void> EventCarrier::stop_watching() {
  error_code ignored;
  if (watching_) stream_->cancel();
  while (watching_) {
    wake_.expires_after(kLinger);
    co_await wake_.async_wait(into(ignored));
  }
}

void EventCarrier::attach_to(EventStream& events) {
  events.attach([weak = weak_from_this(), executor = stream_->executor()] {
    net::post(executor, [weak] {
      if (const auto self = weak.lock()) {
        self->awake_ = true;
        self->wake_.cancel();
      }
    });
  });
}

net::awaitable<bool> EventCarrier::run(Response response) {
  const auto events = response.stream;
  ++state_.event_streams;
  const auto head = event_stream_head(std::move(response));
  stream_->expires_after(state_.options.limits.event_write);
  error_code ec;
  stream_->bound_send_buffer(kSocketBytes, ec);
  ec = {};
  co_await stream_->write(head, ec);
  if (!ec) {
    stream_->expires_never();
    watching_ = true;
    net::co_spawn(stream_->executor(), watch_peer(), net::detached);
    attach_to(*events);
    co_await pump(*events);
    co_await stop_watching();
  }
  events->detach();
  --state_.event_streams;
  co_return !peer_gone_;
}

void EventCarrier::count_dropped() const {
  if (state_.options.metrics == nullptr) return;
  state_.options.metrics
      ->counter("http_event_streams_dropped_total",
                "Event streams ended because the client read too slowly")
      .add();
}

net::awaitable<void> EventCarrier::pump(EventStream& events) {
  const auto& limits = state_.options.limits;
  error_code ec;
  while (!peer_gone_ && !state_.stopping) {
    awake_ = false;
    auto taken = events.take();
    if (taken.overflowed) count_dropped();
    const bool any = taken.shared || !taken.bytes.empty();
    if (any) {
      stream_->expires_after(limits.event_write);
      ec = {};
      if (taken.shared) co_await stream_->write(*taken.shared, ec);
      if (!ec && !taken.bytes.empty()) co_await stream_->write(taken.bytes, ec);
      if (ec) {
        if (ec != boost::beast::error::timeout) break;
        state_.refused("write_timeout");
        if (!taken.overflowed) count_dropped();
        break;
      }
    }
    if (taken.end) break;
    if (any) events.drained();
    if (awake_) continue;
    wake_.expires_after(limits.heartbeat);
    co_await wake_.async_wait(into(ec));
    if (!ec && !awake_) events.comment("");
  }
}

}  // namespace lapwing::http
