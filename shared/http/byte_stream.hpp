// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: one TCP connection, plain or TLS, as both ends use it. Not for others.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace lapwing::http {

namespace net = boost::asio;
using boost::system::error_code;

/// Completion token: errors go to `ec`, nothing is thrown.
inline auto into(error_code& ec) { return net::redirect_error(net::use_awaitable, ec); }

/// Bytes to and from one peer. What Asio and Beast generate for plain and for TLS streams is
/// generated here and nowhere else: it is much.
///
/// Ownership: of the socket. Buffers and `ec` belong to the caller and outlive the operation, as
///   does the stream.
/// Threads: none of its own; one thread, or its executor's strand. One read and one write at a
///   time; handshake and goodbye are both.
/// Errors: in `ec`; beast::error::timeout where expires_after() ran out, and the socket is closed.
class ByteStream {
 public:
  /// `tls` null: plain; else it must outlive the stream.
  ByteStream(boost::beast::tcp_stream tcp, net::ssl::context* tls);
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  net::awaitable<void> connect(const net::ip::tcp::resolver::results_type& addresses,
                               error_code& ec);
  /// Plain: nothing to do.
  net::awaitable<void> handshake(net::ssl::stream_base::handshake_type role, error_code& ec);
  /// At least one byte, unless `ec` is set.
  net::awaitable<std::size_t> read_some(net::mutable_buffer space, error_code& ec);
  /// All of them.
  net::awaitable<void> write(std::string_view bytes, error_code& ec);
  /// The TLS goodbye. Plain: nothing to do.
  net::awaitable<void> say_goodbye(error_code& ec);
  /// Forgets bytes as they come over TCP, below TLS. How many.
  net::awaitable<std::size_t> discard_some(error_code& ec);

  /// For the operations started from now on, all together.
  void expires_after(net::steady_timer::duration patience) { tcp_.expires_after(patience); }
  void expires_never() { tcp_.expires_never(); }
  /// Operations that run end with operation_aborted.
  void cancel() { tcp_.cancel(); }
  /// The peer reads the end; reading goes on.
  void close_sending(error_code& ec) { tcp_.socket().shutdown(tcp_.socket().shutdown_send, ec); }
  /// What the kernel keeps for a peer that does not read; else it grows to megabytes.
  void bound_send_buffer(int bytes, error_code& ec) {
    tcp_.socket().set_option(net::socket_base::send_buffer_size(bytes), ec);
  }
  void close(error_code& ec) { tcp_.socket().close(ec); }

  [[nodiscard]] net::any_io_executor executor() { return tcp_.get_executor(); }
  /// Null: plain.
  [[nodiscard]] SSL* tls() { return tls_ ? tls_->native_handle() : nullptr; }

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<net::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

}  // namespace lapwing::http
