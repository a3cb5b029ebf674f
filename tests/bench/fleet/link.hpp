// SPDX-License-Identifier: Apache-2.0
/// One TLS connection that never waits: the owner's epoll tells it when it may go on.
///
/// Not shared/mqtt: each of its clients has a thread and a TLS context of its own, and the library
/// beneath walks all its connections for each packet (see README.md for what that comes to).
#pragma once

#include "shared/base/result.hpp"
#include "tests/bench/fleet/members.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>

struct ssl_ctx_st;
struct ssl_st;

namespace lapwing::fleet {

/// What all connections of a fleet share. Threads: a shared one is safe.
class TlsSide {
 public:
  /// Resolves the host once. Errors: not_found (the host), corrupt (OpenSSL).
  static Result<TlsSide> make(const Members& members, std::string host, std::uint16_t port);

 private:
  friend class Link;
  struct Free {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  std::unique_ptr<ssl_ctx_st, Free> context_;
  std::string host_;
  sockaddr_storage address_{};
  socklen_t address_bytes_ = 0;
};

/// Threads: one object belongs to one thread.
class Link {
 public:
  /// Of what waits to be sent: beyond it send() says no.
  static constexpr std::size_t kWaitingBytesMax = std::size_t{4} << 20U;

  /// Borrows both, which must outlive it.
  Link(const TlsSide& side, const trust::Certificate& certificate);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Begins to connect; the socket, non-blocking, for the owner's epoll (edge-triggered).
  Result<int> open();
  /// Goes on connecting, shaking hands and writing. Errors: io, with the reason; then close().
  Result<void> advance();
  /// Hands over what has arrived, at most about `bytes_max`; empty when there is none. Borrowed
  /// until the next call. `more`: there may be more.
  Result<std::string_view> receive(std::size_t bytes_max, bool& more);
  /// Takes the bytes and writes what the socket takes. False: too much waits already.
  bool send(std::string_view bytes);
  /// `abruptly`: with a reset, as a device that lost its power does at best.
  void close(bool abruptly);

  [[nodiscard]] bool is_open() const noexcept { return socket_ >= 0; }
  /// The handshake is done.
  [[nodiscard]] bool secured() const noexcept { return secured_; }
  [[nodiscard]] bool idle() const noexcept { return waiting_.empty(); }

 private:
  Error failure(const char* doing, int returned);
  Result<void> flush();

  const TlsSide& side_;
  const trust::Certificate& certificate_;
  struct Free {
    void operator()(ssl_st* tls) const noexcept;
  };
  std::unique_ptr<ssl_st, Free> tls_;
  int socket_ = -1;
  bool connected_ = false;
  bool secured_ = false;
  std::string waiting_;
  std::size_t written_ = 0;  ///< of waiting_
};

}  // namespace lapwing::fleet
