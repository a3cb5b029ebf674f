// SPDX-License-Identifier: Apache-2.0
/// Inside of shared/mqtt: connections of our own, one at a time, with a deadline.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/mqtt/resolve.hpp"

#include <openssl/ssl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace lapwing::mqtt {

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;
using Ssl = std::unique_ptr<SSL, FreeSsl>;

class Socket {
 public:
  explicit Socket(int family)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

class Deadline {
 public:
  /// Borrows `stopping`.
  Deadline(Micros time, const std::function<bool()>& stopping)
      : until_(std::chrono::steady_clock::now() + time), stopping_(stopping) {}
  /// Waits for the socket. Errors: timeout, shutting_down.
  [[nodiscard]] Result<void> wait(int fd, short events) const;

 private:
  std::chrono::steady_clock::time_point until_;
  const std::function<bool()>& stopping_;
};

/// Errors: io (nothing listens, no route), timeout, shutting_down.
Result<void> connect_tcp(const Socket& socket, const Address& address, const Deadline& deadline);
/// The server's certificate must name this host.
void expect_host(SSL* ssl, const std::string& host);
/// OpenSSL's word for what failed last on this thread; empty: nothing did.
std::string last_reason();

}  // namespace lapwing::mqtt
