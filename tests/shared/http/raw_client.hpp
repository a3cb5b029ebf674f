// SPDX-License-Identifier: Apache-2.0
/// A TCP connection to 127.0.0.1 that sends exactly what a test wants.
#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace lapwing::testing {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      throw std::runtime_error("cannot connect");
    }
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False: the peer closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  /// Reads until `text` was seen, the peer closed, or 20 s went by. Everything read so far.
  std::string read_until(std::string_view text) {
    while (text.empty() || got_.find(text) == std::string::npos) {
      char piece[4096];
      const auto bytes = ::recv(socket_, piece, sizeof piece, 0);
      if (bytes <= 0) {
        closed_ = bytes == 0 || errno == ECONNRESET;
        break;
      }
      got_.append(piece, static_cast<std::size_t>(bytes));
    }
    return got_;
  }
  std::string read_all() { return read_until(""); }
  /// Whether the peer ended the connection (after a read).
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  int socket_;
  std::string got_;
  bool closed_ = false;
};

}  // namespace lapwing::testing
