// SPDX-License-Identifier: Apache-2.0
#include "shared/http/request_reader.hpp"

#include "shared/http/message_io.hpp"
#include "shared/http/request_target.hpp"

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lapwing::http {
namespace {

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

std::string_view view(const auto& text) { return {text.data(), text.size()}; }

/// `request` from `message`, or why it is refused.
std::optional<Response> take(const ServerState& state, RequestMessage& message, Request& request) {
  const auto target = view(message.target());
  if (target.size() > state.options.limits.target_bytes) {
    return problem(414, "the address is longer than this server takes");
  }
  if (message.version() >= 11 && message.count("host") != 1) {
    return problem(400, "a request has exactly one Host header");
  }
  const auto host = view(message["host"]);
  if (state.options.local_names_only && !host.empty() && !is_local_host(host)) {
    state.refused("host");
    return problem(421, "this listener answers as localhost or 127.0.0.1 only");
  }
  auto parsed = parse_target(target);
  if (!parsed) return problem(parsed.error());
  request = *std::move(parsed);
  const auto known = method_from(view(message.method_string()));
  if (!known) return problem(501, "this method is not understood", request.path);
  request.method = *known;
  for (const auto& field : message) {
    request.headers.emplace_back(lower_case(view(field.name_string())),
                                 std::string(view(field.value())));
  }
  request.body = std::move(message.body());
  return std::nullopt;
}

/// What the route allows, else what the server does.
std::uint64_t body_bytes_of(const ServerState& state, const RequestMessage& message) {
  const auto fallback = state.options.limits.body_bytes;
  const auto method = method_from(view(message.method_string()));
  const auto target = view(message.target());
  if (!method || target.size() > state.options.limits.target_bytes) return fallback;
  return state.router.body_bytes(*method, target.substr(0, target.find('?')), fallback);
}

}  // namespace

net::awaitable<Incoming> read_request(const ServerState& state, ByteStream& stream,
                                      beast::flat_buffer& buffer, error_code& ec) {
  beast::http::request_parser<beast::http::string_body> parser;
  parser.header_limit(state.options.limits.header_bytes);
  parser.body_limit(std::max(state.options.limits.body_bytes, state.router.body_bytes_max()));
  ec = {};
  // The header first: which body it may have depends on the route.
  while (!ec && !parser.is_header_done()) co_await parse_some(stream, buffer, parser, ec);
  if (!ec) {
    const auto allowed = body_bytes_of(state, parser.get());
    const auto length = parser.content_length();
    if (length && *length > allowed) ec = beast::http::error::body_limit;
    parser.body_limit(allowed);
  }
  parser.eager(true);
  while (!ec && !parser.is_done()) co_await parse_some(stream, buffer, parser, ec);
  Incoming incoming;
  if (ec) co_return incoming;
  auto& message = parser.get();
  incoming.version = message.version();
  incoming.head = message.method() == beast::http::verb::head;
  incoming.keep_alive = message.keep_alive();
  incoming.refusal = take(state, message, incoming.request);
  co_return incoming;
}

std::optional<Response> refusal_of(const ServerState& state, const error_code& ec) {
  if (ec == beast::error::timeout) state.refused("read_timeout");
  const unsigned status = status_of(ec);
  if (status == 0) return std::nullopt;
  state.refused(status == 431 ? "header_bytes" : status == 413 ? "body_bytes" : "malformed");
  return problem(status, explain(status));
}

}  // namespace lapwing::http
