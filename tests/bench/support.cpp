// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/support.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace lapwing::bench {
namespace {

void send_all(int socket_id, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_id, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) give_up("the broker closed the publisher's connection");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void add_text(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size() >> 8U);
  out += static_cast<char>(text.size() & 0xffU);
  out += text;
}

void add_packet(std::string& out, char head, std::string_view body) {
  out += head;
  std::size_t length = body.size();
  do {
    const std::size_t digit = (length & 0x7fU) | (length > 0x7fU ? 0x80U : 0U);
    out += static_cast<char>(digit);
    length >>= 7U;
  } while (length != 0);
  out += body;
}

}  // namespace

void give_up(std::string_view why) {
  std::fprintf(stderr, "benchmark: %.*s\n", static_cast<int>(why.size()), why.data());
  std::exit(1);
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

Publisher::Publisher(std::uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("no broker on port " + std::to_string(port));
  }
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::string body;
  add_text(body, "MQTT");
  body.append("\x04\x02\x00\x00", 4);
  add_text(body, "flood-" + std::to_string(getpid()));
  add_packet(bytes_, 0x10, body);
  send_all(socket_, bytes_);
  bytes_.clear();
  char answer[4];
  if (recv(socket_, answer, sizeof answer, MSG_WAITALL) != 4 || answer[3] != 0) {
    give_up("the broker refuses the publisher");
  }
}

Publisher::~Publisher() { close(socket_); }

void Publisher::add(const Packet& packet, int qos) {
  std::string body;
  add_text(body, packet.topic);
  if (qos != 0) {
    packet_id_ = static_cast<std::uint16_t>(packet_id_ % 65535 + 1);
    body += static_cast<char>(packet_id_ >> 8U);
    body += static_cast<char>(packet_id_ & 0xffU);
    ++missing_;
  }
  body += packet.payload;
  add_packet(bytes_, qos == 0 ? 0x30 : 0x32, body);
}

void Publisher::flush() {
  constexpr std::size_t kWindow = 1000;
  send_all(socket_, bytes_);
  bytes_.clear();
  while (missing_ > kWindow) take_acknowledgements();
}

void Publisher::finish() {
  flush();
  while (missing_ > 0) take_acknowledgements();
}

void Publisher::take_acknowledgements() {
  char buffer[4096];
  const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
  if (count <= 0) give_up("the broker closed the publisher's connection");
  answer_bytes_ += static_cast<std::size_t>(count);
  missing_ -= std::min(missing_, answer_bytes_ / 4);  // a PUBACK has four bytes
  answer_bytes_ %= 4;
}

void row(std::string_view figure, std::string_view target, std::string_view measured, bool met) {
  std::printf("%-62.*s | %-14.*s | %.*s%s\n", static_cast<int>(figure.size()), figure.data(),
              static_cast<int>(target.size()), target.data(), static_cast<int>(measured.size()),
              measured.data(), met ? "" : "  MISSED");
  std::fflush(stdout);
}

std::string format(const char* pattern, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, value);
  return buffer;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace lapwing::bench
