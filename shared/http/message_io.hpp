// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/http: Beast's messages from and to bytes. Not for others.
#pragma once

#include "shared/http/byte_stream.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>

namespace lapwing::http {

namespace beast = boost::beast;

using RequestMessage = beast::http::request<beast::http::string_body>;
using ResponseMessage = beast::http::response<beast::http::string_body>;

/// Parses what `buffer` holds, and reads more until the parser got on: as far as its `eager()`
/// says. What belongs to the next message stays in `buffer`. A parser that is done takes no more.
/// Errors: the parser's; the stream's; http::error::end_of_stream when nothing came,
///   partial_message when the peer ended in the middle, buffer_overflow when `buffer` is full.
template <bool is_request>
net::awaitable<void> parse_some(ByteStream& stream, beast::flat_buffer& buffer,
                                beast::http::basic_parser<is_request>& parser, error_code& ec);
extern template net::awaitable<void> parse_some(ByteStream&, beast::flat_buffer&,
                                                beast::http::basic_parser<true>&, error_code&);
extern template net::awaitable<void> parse_some(ByteStream&, beast::flat_buffer&,
                                                beast::http::basic_parser<false>&, error_code&);

/// The whole message as it goes over the line.
std::string to_bytes(const RequestMessage& message);
std::string to_bytes(const ResponseMessage& message);

}  // namespace lapwing::http
