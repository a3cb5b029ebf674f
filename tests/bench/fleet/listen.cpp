// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/listen.hpp"

#include "shared/base/time.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace lapwing::fleet {
namespace {

constexpr std::size_t kFeedBytes = std::size_t{256} << 10U;
constexpr Micros kCountEvery = std::chrono::milliseconds(500);

volatile std::sig_atomic_t ended = 0;

struct Follower {
  int socket = -1;
  std::string head;  ///< of the answer, until it is whole
  bool answered = false;
  char last = 0;  ///< byte before what comes next
};

Result<int> ask(const ListenOptions& options) {
  const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options.port);
  const std::string request =
      "GET /api/v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + options.token +
      "\r\nAccept: text/event-stream\r\n\r\n";
  if (connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      send(made, request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size())) {
    const int failed = errno;
    close(made);
    return Error{Errc::io, std::string("feed: ") + std::strerror(failed)};
  }
  return made;
}

/// An event has one line that begins with `data:`; other lines are ids, names and heartbeats.
std::uint64_t events_in(std::string_view bytes, char before) {
  constexpr std::string_view kMark = "\ndata:";
  std::uint64_t count = before == '\n' && bytes.starts_with("data:") ? 1 : 0;
  for (auto at = bytes.find(kMark); at != bytes.npos; at = bytes.find(kMark, at + 1)) ++count;
  return count;
}

}  // namespace

Result<void> listen_all(const ListenOptions& options) {
  std::signal(SIGTERM, [](int) { ended = 1; });
  std::signal(SIGINT, [](int) { ended = 1; });
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Follower> followers(options.clients);
  for (std::size_t i = 0; i < followers.size(); ++i) {
    const auto made = ask(options);
    if (!made) return made.error();
    followers[i].socket = *made;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    epoll_ctl(poll, EPOLL_CTL_ADD, *made, &event);
  }
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::size_t answered = 0;
  std::size_t open = followers.size();
  std::vector<char> buffer(kFeedBytes);
  Ticks next_line = ticks_now();
  bool told = false;
  while (ended == 0) {
    std::array<epoll_event, 64> ready{};
    const int count = epoll_wait(poll, ready.data(), static_cast<int>(ready.size()), 100);
    for (int i = 0; i < count; ++i) {
      Follower& one = followers[ready[static_cast<std::size_t>(i)].data.u64];
      const ssize_t got = recv(one.socket, buffer.data(), buffer.size(), 0);
      if (got <= 0) {
        close(one.socket);
        --open;
        continue;
      }
      std::string_view text(buffer.data(), static_cast<std::size_t>(got));
      bytes += text.size();
      if (!one.answered) {
        one.head += text;
        const auto end = one.head.find("\r\n\r\n");
        if (end == one.head.npos) continue;
        if (!one.head.starts_with("HTTP/1.1 200")) {
          return Error{Errc::denied, "the feed answers " + one.head.substr(0, 200)};
        }
        one.answered = true;
        ++answered;
        events += events_in(std::string_view(one.head).substr(end), '\n');
        one.last = one.head.back();
        std::string().swap(one.head);
        continue;
      }
      events += events_in(text, one.last);
      one.last = text.back();
    }
    if (answered < followers.size() || ticks_now() < next_line) continue;
    if (!told) std::printf("ready\n");
    told = true;
    std::printf("%.6f %llu %llu %zu\n",
                std::chrono::duration<double>(ticks_now().time_since_epoch()).count(),
                static_cast<unsigned long long>(events), static_cast<unsigned long long>(bytes),
                open);
    std::fflush(stdout);
    next_line = ticks_now() + kCountEvery;
  }
  for (const auto& one : followers) close(one.socket);
  close(poll);
  return {};
}

}  // namespace lapwing::fleet
