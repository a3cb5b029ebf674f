// SPDX-License-Identifier: Apache-2.0
#include "tests/support/broker.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace lapwing::testing {
namespace {

namespace fs = std::filesystem;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool listens(std::uint16_t port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool good =
      connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(client);
  return good;
}

}  // namespace

std::uint16_t free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool good = bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(probe);
  if (!good) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

Broker::Broker(std::string_view settings) : port_(free_port()) {
  std::string pattern = (fs::temp_directory_path() / "lapwing-broker-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  configure(settings);
}

Broker::~Broker() {
  kill();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Broker::configure(std::string_view settings) {
  // Started by root, mosquitto would become a user that cannot read this folder.
  put("mosquitto.conf", "listener " + std::to_string(port_) + " 127.0.0.1\nlog_dest stderr\n" +
                            (geteuid() == 0 ? "user root\n" : "") + std::string(settings));
}

bool Broker::start() {
  // Made before the fork: the child of a process with threads must not allocate.
  const std::string log = (folder_ / "broker.log").string();
  const std::string config = (folder_ / "mosquitto.conf").string();
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execlp("mosquitto", "mosquitto", "-c", config.c_str(), nullptr);
    execl("/usr/sbin/mosquitto", "mosquitto", "-c", config.c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 1000; ++i) {
    if (listens(port_)) return true;
    if (waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void Broker::stop() { end(SIGTERM); }
void Broker::kill() { end(SIGKILL); }

void Broker::freeze() const { ::kill(process_, SIGSTOP); }

void Broker::end(int signal) {
  if (process_ < 0) return;
  ::kill(process_, signal);
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

fs::path Broker::put(const std::string& name, std::string_view text) const {
  std::ofstream(folder_ / name, std::ios::binary) << text;
  return folder_ / name;
}

std::string Broker::log() const {
  std::ifstream file(folder_ / "broker.log");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace lapwing::testing
