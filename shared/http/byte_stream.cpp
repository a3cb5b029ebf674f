// SPDX-License-Identifier: Apache-2.0
#include "shared/http/byte_stream.hpp"

#include <array>
#include <utility>

namespace lapwing::http {

ByteStream::ByteStream(boost::beast::tcp_stream tcp, net::ssl::context* tls)
    : tcp_(std::move(tcp)) {
  if (tls != nullptr) tls_.emplace(tcp_, *tls);
}

net::awaitable<void> ByteStream::connect(const net::ip::tcp::resolver::results_type& addresses,
                                         error_code& ec) {
  co_await tcp_.async_connect(addresses, into(ec));
}

net::awaitable<void> ByteStream::handshake(net::ssl::stream_base::handshake_type role,
                                           error_code& ec) {
  if (tls_) co_await tls_->async_handshake(role, into(ec));
}

net::awaitable<std::size_t> ByteStream::read_some(net::mutable_buffer space, error_code& ec) {
  if (tls_) co_return co_await tls_->async_read_some(net::buffer(space), into(ec));
  co_return co_await tcp_.async_read_some(net::buffer(space), into(ec));
}

net::awaitable<void> ByteStream::write(std::string_view bytes, error_code& ec) {
  ec = {};
  while (!ec && !bytes.empty()) {
    const auto rest = net::buffer(bytes);
    std::size_t written = 0;
    if (tls_) {
      written = co_await tls_->async_write_some(rest, into(ec));
    } else {
      written = co_await tcp_.async_write_some(rest, into(ec));
    }
    bytes.remove_prefix(written);
  }
}

net::awaitable<void> ByteStream::say_goodbye(error_code& ec) {
  if (tls_) co_await tls_->async_shutdown(into(ec));
}

net::awaitable<std::size_t> ByteStream::discard_some(error_code& ec) {
  std::array<char, 4096> scratch;
  co_return co_await tcp_.async_read_some(net::buffer(scratch), into(ec));
}

}  // namespace lapwing::http
