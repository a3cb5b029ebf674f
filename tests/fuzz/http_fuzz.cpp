// SPDX-License-Identifier: Apache-2.0
// Bytes on a connection of the real server, through Beast and our limits.
#include "shared/http/server.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <arpa/inet.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace lapwing;

namespace {

http::Server& server() {
  static const std::unique_ptr<http::Server> one = [] {
    http::Router router;
    const auto echo = [](const http::Request& request) {
      http::Response response;
      response.body = request.path + std::to_string(request.body.size());
      return response;
    };
    router.add(http::Method::get, "/api/v1/devices/{device}", echo);
    router.add(http::Method::post, "/api/v1/things", echo);
    http::ServerOptions options;
    options.limits.body_bytes = 1024;
    options.limits.header_bytes = 2048;
    options.limits.target_bytes = 512;
    options.limits.connections = 8;
    auto started = http::Server::start(options, std::move(router));
    fuzz::require(started.has_value(), "the server starts");
    return *std::move(started);
  }();
  return *one;
}

std::string exchange(std::string_view bytes) {
  const int line = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server().port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fuzz::require(::connect(line, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0,
                "the server takes connections");
  while (!bytes.empty()) {  // a refusal may come, and the end, before all is sent
    const auto sent = ::send(line, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  ::shutdown(line, SHUT_WR);
  std::string answer;
  char part[4096];
  for (ssize_t got = 0; (got = ::recv(line, part, sizeof part, 0)) > 0;) {
    answer.append(part, static_cast<std::size_t>(got));
  }
  ::close(line);
  return answer;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string answer = exchange({reinterpret_cast<const char*>(data), size});
  fuzz::require(answer.empty() || answer.starts_with("HTTP/1."), "what comes back is HTTP");
  return 0;
}
