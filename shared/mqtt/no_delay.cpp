// SPDX-License-Identifier: Apache-2.0
#include "shared/mqtt/no_delay.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <filesystem>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>

namespace lapwing::mqtt {
namespace {

/// 0: not a TCP connection.
std::uint16_t peer_port(int socket) {
  sockaddr_storage peer{};
  socklen_t bytes = sizeof peer;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &bytes) != 0) return 0;
  if (peer.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(peer).sin_port);
  }
  if (peer.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(peer).sin6_port);
  }
  return 0;
}

}  // namespace

std::size_t send_at_once(std::uint16_t port) {
  std::size_t count = 0;
  std::error_code failed;
  for (std::filesystem::directory_iterator file("/proc/self/fd", failed), end;
       !failed && file != end; file.increment(failed)) {
    const std::string name = file->path().filename().string();
    int socket = -1;
    std::from_chars(name.data(), name.data() + name.size(), socket);
    const int yes = 1;
    if (socket >= 0 && peer_port(socket) == port &&
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0) {
      ++count;
    }
  }
  return count;
}

}  // namespace lapwing::mqtt
