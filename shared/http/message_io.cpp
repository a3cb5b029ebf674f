// SPDX-License-Identifier: Apache-2.0
#include "shared/http/message_io.hpp"

#include <boost/asio/error.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/serializer.hpp>

namespace lapwing::http {
namespace {

constexpr std::size_t kReadMax = std::size_t{64} << 10U;

template <bool is_request>
std::string serialized(const beast::http::message<is_request, beast::http::string_body>& message) {
  beast::http::serializer<is_request, beast::http::string_body> serializer(message);
  std::string bytes;
  bytes.reserve(message.body().size() + 1'024);
  error_code ec;
  while (!ec && !serializer.is_done()) {
    serializer.next(ec, [&](error_code&, const auto& buffers) {
      const auto before = bytes.size();
      for (const net::const_buffer piece : beast::buffers_range_ref(buffers)) {
        bytes.append(static_cast<const char*>(piece.data()), piece.size());
      }
      serializer.consume(bytes.size() - before);
    });
  }
  return bytes;
}

}  // namespace

template <bool is_request>
net::awaitable<void> parse_some(ByteStream& stream, beast::flat_buffer& buffer,
                                beast::http::basic_parser<is_request>& parser, error_code& ec) {
  using beast::http::error;
  ec = error::need_more;
  while (true) {
    if (buffer.size() != 0) {
      buffer.consume(parser.put(buffer.data(), ec));
      if (ec != error::need_more) co_return;
    }
    const auto space = beast::read_size(buffer, kReadMax);
    if (space == 0) {
      ec = error::buffer_overflow;
      co_return;
    }
    buffer.commit(co_await stream.read_some(buffer.prepare(space), ec));
    if (ec == net::error::eof) {
      if (parser.got_some()) {
        parser.put_eof(ec);
      } else {
        ec = error::end_of_stream;
      }
      co_return;
    }
    if (ec) co_return;
  }
}

template net::awaitable<void> parse_some(ByteStream&, beast::flat_buffer&,
                                         beast::http::basic_parser<true>&, error_code&);
template net::awaitable<void> parse_some(ByteStream&, beast::flat_buffer&,
                                         beast::http::basic_parser<false>&, error_code&);

std::string to_bytes(const RequestMessage& message) { return serialized(message); }
std::string to_bytes(const ResponseMessage& message) { return serialized(message); }

}  // namespace lapwing::http
