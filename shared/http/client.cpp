// SPDX-License-Identifier: Apache-2.0
#include "shared/http/client.hpp"

#include "shared/http/dial.hpp"
#include "shared/http/message_io.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <array>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>

namespace lapwing::http {
namespace {

using Parser = beast::http::response_parser<beast::http::buffer_body>;

/// All but the body.
Response head_of(const Parser::value_type& message) {
  Response response{.status = message.result_int()};
  for (const auto& field : message) {
    const auto name = field.name_string();
    const auto value = field.value();
    response.headers.emplace_back(std::string(name.data(), name.size()),
                                  std::string(value.data(), value.size()));
  }
  response.content_type = std::string(response.header("content-type").value_or(""));
  return response;
}

/// One connection, one exchange.
class Exchange {
 public:
  Exchange(const ClientOptions& options, Method method, std::string_view target, std::string body)
      : options_(options) {
    const auto verb = to_string(method);
    request_.method_string({verb.data(), verb.size()});
    request_.target({target.data(), target.size()});
    request_.version(11);
    const bool v6 = options.origin.host.find(':') != std::string::npos;
    request_.set("Host", (v6 ? "[" + options.origin.host + "]" : options.origin.host) + ":" +
                             std::to_string(options.origin.port));
    request_.set("User-Agent", "lapwing/" LAPWING_VERSION);
    request_.set("Accept", "application/json, application/problem+json, text/event-stream");
    request_.keep_alive(false);
    if (!options.bearer.empty()) {
      request_.set("Authorization", "Bearer " + options.bearer.reveal());
    }
    if (method != Method::get) {
      if (!body.empty()) request_.set("Content-Type", "application/json");
      request_.body() = std::move(body);
      request_.prepare_payload();
    }
  }

  void set(std::string_view name, std::string_view value) {
    request_.set(std::string(name), std::string(value));
  }
  void stop_with(std::stop_token stop) { stop_ = std::move(stop); }

  Result<Response> run(const Client::EventHandlers* handlers) {
    handlers_ = handlers;
    try {
      std::optional<net::ssl::context> context;
      if (options_.origin.tls) {  // reading the system's authorities takes a while
        auto made = make_client_context(options_);
        if (!made) return made.error();
        context = *std::move(made);
      }
      ByteStream stream(beast::tcp_stream(io_), context ? &*context : nullptr);
      net::co_spawn(io_, exchange(stream), [](const std::exception_ptr& failure) {
        if (failure) std::rethrow_exception(failure);
      });
      const std::stop_callback stopping(stop_, [&] {
        net::post(io_, [&] {
          error_code ignored;
          stream.close(ignored);  // what runs ends with operation_aborted
        });
      });
      io_.run();
    } catch (const std::exception& failure) {
      return Error{Errc::io, options_.origin.text() + ": " + failure.what()};
    }
    if (error_ && stop_.stop_requested()) {
      return Error{Errc::shutting_down, options_.origin.text() + ": the request was ended"};
    }
    if (error_) return *std::move(error_);
    return std::move(response_);
  }

 private:
  net::awaitable<void> exchange(ByteStream& stream) {
    const auto dialled = co_await dial(stream, options_);
    if (!dialled) {
      error_ = dialled.error();
      co_return;
    }
    if (stop_.stop_requested()) {
      error_ = Error{Errc::shutting_down, ""};
      co_return;
    }
    stream.expires_after(options_.request_timeout);
    const auto bytes = to_bytes(request_);
    error_code ec;
    co_await stream.write(bytes, ec);
    if (ec) co_return fail(ec, "sending the request");
    beast::flat_buffer buffer;
    Parser parser;
    parser.body_limit(boost::none);
    parser.eager(false);
    while (!ec && !parser.is_header_done()) co_await parse_some(stream, buffer, parser, ec);
    if (ec) co_return fail(ec, "waiting for the answer");
    response_ = head_of(parser.get());
    const bool live = handlers_ != nullptr && response_.status == 200 &&
                      response_.content_type.starts_with("text/event-stream");
    if (live) {
      co_await follow(stream, buffer, parser);
    } else {
      co_await read_body(stream, buffer, parser);
    }
  }

  /// What arrives of the body next, in `piece`.
  static net::awaitable<std::string_view> next_piece(ByteStream& stream, beast::flat_buffer& buffer,
                                                     Parser& parser, std::span<char> piece,
                                                     error_code& ec) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    co_await parse_some(stream, buffer, parser, ec);
    if (ec == beast::http::error::need_buffer) ec = {};
    co_return std::string_view(piece.data(), piece.size() - body.size);
  }

  net::awaitable<void> read_body(ByteStream& stream, beast::flat_buffer& buffer, Parser& parser) {
    std::array<char, 8192> space;
    while (!parser.is_done()) {
      error_code ec;
      const auto piece = co_await next_piece(stream, buffer, parser, space, ec);
      response_.body += piece;
      if (!ec && response_.body.size() > options_.body_bytes_max) {
        ec = beast::http::error::body_limit;
      }
      if (ec) co_return fail(ec, "reading the answer");
    }
  }

  net::awaitable<void> follow(ByteStream& stream, beast::flat_buffer& buffer, Parser& parser) {
    if (handlers_->on_open) handlers_->on_open();
    EventParser events;
    std::array<char, 8192> space;
    while (!parser.is_done()) {
      error_code ec;
      stream.expires_after(options_.silence_max);
      const auto piece = co_await next_piece(stream, buffer, parser, space, ec);
      if (ec) co_return fail(ec, "following the events");
      auto got = events.feed(piece);
      if (!got) {
        error_ = got.error();
        co_return;
      }
      for (const auto& event : *got) {
        if (!handlers_->on_event(event)) co_return;
      }
    }
  }

  void fail(const error_code& ec, std::string_view doing) {
    error_ = transport_error(ec, options_.origin, doing);
  }

  const ClientOptions& options_;
  const Client::EventHandlers* handlers_ = nullptr;
  RequestMessage request_;
  net::io_context io_{1};
  Response response_;
  std::optional<Error> error_;
  std::stop_token stop_;
};

}  // namespace

Result<Response> Client::request(Method method, std::string_view target, std::string body,
                                 const RequestOptions& how) const {
  Exchange exchange(options_, method, target, std::move(body));
  for (const auto& [name, value] : how.headers) exchange.set(name, value);
  exchange.stop_with(how.stop);
  return exchange.run(nullptr);
}

Result<void> Client::events(std::string_view target, std::string_view last_event_id,
                            const EventHandlers& handlers) const {
  Exchange exchange(options_, Method::get, target, {});
  if (!last_event_id.empty()) exchange.set("Last-Event-ID", last_event_id);
  auto response = exchange.run(&handlers);
  if (!response) return response.error();
  const bool live = response->status == 200 && response->content_type.starts_with("text/event-");
  if (!live && handlers.on_refused) handlers.on_refused(*response);
  return {};
}

}  // namespace lapwing::http
