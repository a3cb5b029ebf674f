// SPDX-License-Identifier: Apache-2.0
#include "shared/http/client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <charconv>
#include <optional>

namespace lapwing::http {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using PlainStream = beast::tcp_stream;
using TlsStream = net::ssl::stream<beast::tcp_stream>;
using Answer = beast::http::response<beast::http::string_body>;

auto into(error_code& ec) { return net::redirect_error(net::use_awaitable, ec); }

Error transport_error(const error_code& ec, const Origin& origin, std::string_view doing) {
  const auto where = origin.text() + ": ";
  if (ec == beast::error::timeout) {
    return {Errc::timeout, where + "no answer in time while " + std::string(doing)};
  }
  if (ec == beast::http::error::body_limit) {
    return {Errc::limit, where + "the answer is larger than this program takes"};
  }
  if (ec == net::error::connection_refused) {
    return {Errc::io, where + "connection refused: is the server running, is the port right?"};
  }
  if (ec == net::error::host_not_found || ec == net::error::host_not_found_try_again) {
    return {Errc::io, where + "no such host"};
  }
  static const auto& http_category = beast::http::make_error_code(beast::http::error::bad_field);
  if (ec == beast::http::error::end_of_stream || ec == net::ssl::error::stream_truncated) {
    return {Errc::io, where + "the server closed the connection while " + std::string(doing)};
  }
  if (ec.category() == http_category.category()) {
    return {Errc::corrupt, where + "the answer is not HTTP (" + ec.message() + ")"};
  }
  return {Errc::io, where + std::string(doing) + " failed: " + ec.message()};
}

Error handshake_error(const error_code& ec, const Origin& origin, TlsStream& stream) {
  const auto verdict = SSL_get_verify_result(stream.native_handle());
  if (verdict != X509_V_OK) {
    return {Errc::denied, origin.text() + ": the server's certificate is not trusted: " +
                              X509_verify_cert_error_string(verdict) +
                              "; check the CA file, the host's name and this machine's clock"};
  }
  if (ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_WRONG_VERSION_NUMBER) {
    return {Errc::io, origin.text() + ": the server does not speak TLS at this port; plain HTTP?"};
  }
  return transport_error(ec, origin, "the TLS handshake");
}

Result<net::ssl::context> make_context(const ClientOptions& options) {
  net::ssl::context context(net::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  error_code ec;
  if (options.ca_file.empty()) {
    context.set_default_verify_paths(ec);
  } else {
    context.load_verify_file(options.ca_file.string(), ec);
  }
  if (ec) {
    return Error{Errc::bad_config,
                 options.ca_file.string() +
                     ": no certificate authority (PEM) can be read from it: " + ec.message()};
  }
  context.set_verify_mode(net::ssl::verify_peer, ec);
  context.set_verify_callback(net::ssl::host_name_verification(options.origin.host), ec);
  return context;
}

Response to_response(Answer&& answer) {
  Response response{.status = answer.result_int(), .body = std::move(answer.body())};
  for (const auto& field : answer) {
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

  Result<Response> run(const Client::EventHandlers* handlers) {
    handlers_ = handlers;
    try {
      std::optional<net::ssl::context> context;
      if (options_.origin.tls) {  // reading the system's authorities takes a while
        auto made = make_context(options_);
        if (!made) return made.error();
        context = *std::move(made);
      }
      net::co_spawn(io_, connect(context ? &*context : nullptr),
                    [](const std::exception_ptr& failure) {
                      if (failure) std::rethrow_exception(failure);
                    });
      io_.run();
    } catch (const std::exception& failure) {
      return Error{Errc::io, options_.origin.text() + ": " + failure.what()};
    }
    if (error_) return *std::move(error_);
    return std::move(response_);
  }

 private:
  net::awaitable<void> connect(net::ssl::context* context) {
    const auto& origin = options_.origin;
    error_code ec;
    net::ip::tcp::resolver resolver(io_);
    const auto addresses =
        co_await resolver.async_resolve(origin.host, std::to_string(origin.port),
                                        net::ip::tcp::resolver::numeric_service, into(ec));
    if (ec) {
      error_ = transport_error(ec, origin, "looking up the host");
      co_return;
    }
    PlainStream plain(io_);
    plain.expires_after(options_.connect_timeout);
    co_await plain.async_connect(addresses, into(ec));
    if (ec) {
      error_ = transport_error(ec, origin, "connecting");
      co_return;
    }
    if (context == nullptr) {
      co_await exchange(plain);
      co_return;
    }
    TlsStream stream(std::move(plain), *context);
    SSL_set_tlsext_host_name(stream.native_handle(), origin.host.c_str());
    co_await stream.async_handshake(net::ssl::stream_base::client, into(ec));
    if (ec) {
      error_ = handshake_error(ec, origin, stream);
      co_return;
    }
    co_await exchange(stream);
  }

  template <class Stream>
  net::awaitable<void> exchange(Stream& stream) {
    error_code ec;
    auto& lowest = beast::get_lowest_layer(stream);
    lowest.expires_after(options_.request_timeout);
    co_await beast::http::async_write(stream, request_, into(ec));
    if (ec) {
      error_ = transport_error(ec, options_.origin, "sending the request");
      co_return;
    }
    beast::flat_buffer buffer;
    beast::http::response_parser<beast::http::buffer_body> parser;
    parser.body_limit(boost::none);
    co_await beast::http::async_read_header(stream, buffer, parser, into(ec));
    if (ec) {
      error_ = transport_error(ec, options_.origin, "waiting for the answer");
      co_return;
    }
    const auto type = parser.get()["Content-Type"];
    const bool live = handlers_ != nullptr && parser.get().result_int() == 200 &&
                      std::string_view(type.data(), type.size()).starts_with("text/event-stream");
    if (live) {
      co_await follow(stream, buffer, parser);
    } else {
      co_await read_body(stream, buffer, parser);
    }
  }

  template <class Stream, class Parser>
  net::awaitable<void> read_body(Stream& stream, beast::flat_buffer& buffer, Parser& parser) {
    Answer answer;
    answer.result(parser.get().result_int());
    for (const auto& field : parser.get()) answer.insert(field.name_string(), field.value());
    std::array<char, 8192> piece;
    while (!parser.is_done()) {
      error_code ec;
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      co_await beast::http::async_read(stream, buffer, parser, into(ec));
      if (ec == beast::http::error::need_buffer) ec = {};
      if (!ec) {
        answer.body().append(piece.data(), piece.size() - parser.get().body().size);
        if (answer.body().size() > options_.body_bytes_max) ec = beast::http::error::body_limit;
      }
      if (ec) {
        error_ = transport_error(ec, options_.origin, "reading the answer");
        co_return;
      }
    }
    response_ = to_response(std::move(answer));
  }

  template <class Stream, class Parser>
  net::awaitable<void> follow(Stream& stream, beast::flat_buffer& buffer, Parser& parser) {
    auto& lowest = beast::get_lowest_layer(stream);
    response_.status = 200;
    response_.content_type = "text/event-stream";
    if (handlers_->on_open) handlers_->on_open();
    EventParser events;
    std::array<char, 8192> piece;
    while (!parser.is_done()) {
      error_code ec;
      lowest.expires_after(options_.silence_max);
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      co_await beast::http::async_read_some(stream, buffer, parser, into(ec));
      if (ec == beast::http::error::need_buffer) ec = {};
      if (ec) {
        error_ = transport_error(ec, options_.origin, "following the events");
        co_return;
      }
      auto got = events.feed({piece.data(), piece.size() - parser.get().body().size});
      if (!got) {
        error_ = got.error();
        co_return;
      }
      for (const auto& event : *got) {
        if (!handlers_->on_event(event)) co_return;
      }
    }
  }

  const ClientOptions& options_;
  const Client::EventHandlers* handlers_ = nullptr;
  beast::http::request<beast::http::string_body> request_;
  net::io_context io_{1};
  Response response_;
  std::optional<Error> error_;
};

}  // namespace

std::string Origin::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return std::string(tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

Result<Origin> parse_origin(std::string_view url) {
  const Error bad{Errc::bad_input, "\"" + std::string(url.substr(0, 200)) +
                                       "\" is not the address of a hub; it looks like "
                                       "https://hub.example:8443"};
  Origin origin;
  auto rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    origin.tls = false;
    origin.port = 80;
  } else {
    return bad;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) return bad;
  std::string_view port;
  bool has_port = false;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad;
    origin.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad;
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    origin.host = rest.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = rest.substr(colon + 1);
  }
  if (origin.host.empty()) return bad;
  if (has_port) {
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
    if (ec != std::errc{} || end != port.data() + port.size() || origin.port == 0) return bad;
  }
  return origin;
}

Result<Response> Client::request(Method method, std::string_view target, std::string body) const {
  return Exchange(options_, method, target, std::move(body)).run(nullptr);
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
