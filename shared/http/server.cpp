// SPDX-License-Identifier: Apache-2.0
#include "shared/http/server.hpp"

#include "shared/base/log.hpp"
#include "shared/http/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/ssl.h>

#include <optional>
#include <thread>

namespace lapwing::http {
namespace {

using boost::system::error_code;
using net::ip::tcp;

constexpr auto kStopPatience = std::chrono::seconds(3);

Result<std::optional<net::ssl::context>> make_tls(const std::optional<TlsFiles>& files) {
  std::optional<net::ssl::context> context;
  if (!files) return context;
  context.emplace(net::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  error_code ec;
  context->use_certificate_chain_file(files->certificate_file.string(), ec);
  if (ec) {
    return Error{Errc::bad_config,
                 files->certificate_file.string() +
                     ": no certificate (PEM) can be read from it: " + ec.message()};
  }
  context->use_private_key_file(files->key_file.string(), net::ssl::context::pem, ec);
  if (ec || SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return Error{Errc::bad_config,
                 files->key_file.string() + ": not the private key (PEM, unencrypted) of " +
                     files->certificate_file.string() + (ec ? ": " + ec.message() : "")};
  }
  return context;
}

Error listen_error(const error_code& ec, const tcp::endpoint& at) {
  const auto where =
      (at.address().is_v6() ? "[" + at.address().to_string() + "]" : at.address().to_string()) +
      ":" + std::to_string(at.port());
  if (ec == net::error::address_in_use) {
    return {Errc::exists, where +
                              ": this port is in use by another program (find it with ss -ltnp "
                              "'sport = :" +
                              std::to_string(at.port()) +
                              "'); stop that or listen on another port"};
  }
  if (ec == net::error::access_denied) {
    return {Errc::denied, where +
                              ": ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher "
                              "port"};
  }
  if (ec == error_code(EADDRNOTAVAIL, boost::system::system_category())) {
    return {Errc::bad_config, where + ": this machine has no such address"};
  }
  return {Errc::io, where + ": cannot listen: " + ec.message()};
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Router router) : acceptor_(io_), pause_(io_), deadline_(io_) {
    state_.options = std::move(options);
    state_.router = std::move(router);
  }
  ~Impl() { stop(); }

  Result<void> start() {
    auto tls = make_tls(state_.options.tls);
    if (!tls) return tls.error();
    tls_ = *std::move(tls);
    state_.tls = tls_ ? &*tls_ : nullptr;
    auto listening = listen();
    if (!listening) return listening;
    if (state_.options.workers > 0) {
      workers_.emplace(state_.options.workers);
      state_.workers = &*workers_;
    }
    state_.on_connection_end = [this] {
      if (state_.stopping && state_.connections.empty()) io_.stop();
    };
    net::co_spawn(io_, accept(), net::detached);
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    net::post(io_, [this] { begin_stop(); });
    thread_.join();
    if (workers_) workers_->join();
  }

  std::uint16_t port_ = 0;
  ServerState state_;

 private:
  Result<void> listen() {
    error_code ec;
    const auto address = net::ip::make_address(state_.options.address, ec);
    if (ec) {
      return Error{Errc::bad_config,
                   "\"" + state_.options.address + "\" is not an IP address to listen on"};
    }
    const tcp::endpoint at(address, state_.options.port);
    acceptor_.open(at.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(at, ec);
    if (!ec) acceptor_.listen(net::socket_base::max_listen_connections, ec);
    if (ec) return listen_error(ec, at);
    port_ = acceptor_.local_endpoint(ec).port();
    if (ec) return listen_error(ec, at);
    return {};
  }

  net::awaitable<void> accept() {
    while (!state_.stopping) {
      error_code ec;
      auto socket = co_await acceptor_.async_accept(net::redirect_error(net::use_awaitable, ec));
      if (state_.stopping) co_return;
      if (ec) {  // out of file descriptors, most likely: others may end meanwhile
        log::warn("cannot accept a connection", {{"error", ec.message()}});
        pause_.expires_after(std::chrono::milliseconds(100));
        co_await pause_.async_wait(net::redirect_error(net::use_awaitable, ec));
        continue;
      }
      if (!state_.make_room()) {
        log::warn("too many HTTP connections; the newest was closed",
                  {{"connections", state_.connections.size()}});
        continue;
      }
      net::co_spawn(io_, serve(state_, std::move(socket)), net::detached);
    }
  }

  void begin_stop() {
    state_.stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    const auto connections = state_.connections;  // ending one changes the list
    for (const auto& [id, one] : connections) one->end_waiting();
    if (state_.connections.empty()) {
      io_.stop();
      return;
    }
    deadline_.expires_after(kStopPatience);
    deadline_.async_wait([this](error_code ec) {
      if (!ec) io_.stop();
    });
  }

  net::io_context io_{1};
  std::optional<net::ssl::context> tls_;
  std::optional<net::thread_pool> workers_;
  tcp::acceptor acceptor_;
  net::steady_timer pause_;
  net::steady_timer deadline_;
  std::thread thread_;
};

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Router router) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(router));
  auto started = impl->start();
  if (!started) return started.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
void Server::stop() { impl_->stop(); }
std::uint16_t Server::port() const noexcept { return impl_->port_; }
const Router& Server::router() const noexcept { return impl_->state_.router; }

}  // namespace lapwing::http
