// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/tls_socket.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>

namespace lapwing::mqtt {
namespace {

constexpr int kLookMs = 50;

}  // namespace

Result<void> Deadline::wait(int fd, short events) const {
  for (;;) {
    if (stopping_()) return Error{Errc::shutting_down, "stopping"};
    pollfd one{fd, events, 0};
    if (::poll(&one, 1, kLookMs) > 0) return {};
    if (std::chrono::steady_clock::now() >= until_) {
      return Error{Errc::timeout, "no answer; check address, firewall and route"};
    }
  }
}

Result<void> connect_tcp(const Socket& socket, const Address& address, const Deadline& deadline) {
  const auto* where = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(socket.fd(), where, address.size) != 0) {
    if (errno != EINPROGRESS) return Error{Errc::io, std::strerror(errno)};
    if (auto ready = deadline.wait(socket.fd(), POLLOUT); !ready) return ready;
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed == ECONNREFUSED) {
      return Error{Errc::io, "nothing listens there (connection refused); is the broker running?"};
    }
    if (failed != 0) return Error{Errc::io, std::strerror(failed)};
  }
  return {};
}

std::string last_reason() {
  const auto number = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(number);
  return reason == nullptr ? "" : reason;
}

void expect_host(SSL* ssl, const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    return;
  }
  SSL_set1_host(ssl, host.c_str());
  SSL_set_tlsext_host_name(ssl, host.c_str());
}

}  // namespace lapwing::mqtt
