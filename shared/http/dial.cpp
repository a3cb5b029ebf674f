// SPDX-License-Identifier: Apache-2.0
#include "shared/http/dial.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace lapwing::http {
namespace {

namespace beast = boost::beast;

Error handshake_error(const error_code& ec, const Origin& origin, ByteStream& stream) {
  const auto verdict = SSL_get_verify_result(stream.tls());
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

}  // namespace

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

Result<net::ssl::context> make_client_context(const ClientOptions& options) {
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

net::awaitable<Result<void>> dial(ByteStream& stream, const ClientOptions& options) {
  const auto& origin = options.origin;
  error_code ec;
  net::ip::tcp::resolver resolver(stream.executor());
  const auto addresses = co_await resolver.async_resolve(
      origin.host, std::to_string(origin.port), net::ip::tcp::resolver::numeric_service, into(ec));
  if (ec) co_return transport_error(ec, origin, "looking up the host");
  stream.expires_after(options.connect_timeout);
  co_await stream.connect(addresses, ec);
  if (ec) co_return transport_error(ec, origin, "connecting");
  if (stream.tls() == nullptr) co_return Result<void>();
  SSL_set_tlsext_host_name(stream.tls(), origin.host.c_str());
  co_await stream.handshake(net::ssl::stream_base::client, ec);
  if (ec) co_return handshake_error(ec, origin, stream);
  co_return Result<void>();
}

}  // namespace lapwing::http
