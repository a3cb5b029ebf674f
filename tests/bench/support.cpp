// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/support.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <set>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace lapwing::bench {
namespace {

namespace fs = std::filesystem;

std::set<pid_t>& children() {
  static std::set<pid_t> pids;
  return pids;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int try_connect(std::uint16_t port) {
  const int socket_id = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (connect(socket_id, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket_id);
    return -1;
  }
  return socket_id;
}

void send_all(int socket_id, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_id, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) _exit(0);  // the broker is gone: the run is over
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string mqtt_text(std::string_view text) {
  std::string out;
  out += static_cast<char>(text.size() >> 8U);
  out += static_cast<char>(text.size() & 0xffU);
  return out.append(text);
}

std::string mqtt_packet(char head, const std::string& body) {
  std::string packet(1, head);
  std::size_t length = body.size();
  do {
    char digit = static_cast<char>(length & 0x7fU);
    length >>= 7U;
    if (length != 0) digit = static_cast<char>(digit | static_cast<char>(0x80));
    packet += digit;
  } while (length != 0);
  return packet + body;
}

/// A connection to the broker that only publishes. MQTT 3.1.1, four packet kinds.
class Publisher {
 public:
  explicit Publisher(std::uint16_t port) : socket_(try_connect(port)) {
    if (socket_ < 0) _exit(1);
    const int yes = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const std::string id = "flood-" + std::to_string(getpid());
    send_all(socket_, mqtt_packet(0x10, mqtt_text("MQTT") + std::string("\x04\x02\x00\x00", 4) +
                                            mqtt_text(id)));
    char answer[4];
    if (recv(socket_, answer, sizeof answer, MSG_WAITALL) != 4 || answer[3] != 0) _exit(1);
  }

  /// Packets that travel together. Waits while more than kWindow acknowledgements are missing.
  void send_packets(const std::string& bytes, std::size_t count, int qos) {
    send_all(socket_, bytes);
    if (qos == 0) return;
    missing_ += count;
    while (missing_ > kWindow) take_acknowledgements();
  }

 private:
  static constexpr std::size_t kWindow = 1000;

  void take_acknowledgements() {
    char buffer[4096];
    const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
    if (count <= 0) _exit(0);
    bytes_ += static_cast<std::size_t>(count);
    missing_ -= std::min(missing_, bytes_ / 4);  // a PUBACK has four bytes
    bytes_ %= 4;
  }

  int socket_;
  std::size_t missing_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

void give_up(std::string_view why) {
  std::fprintf(stderr, "benchmark: %.*s\n", static_cast<int>(why.size()), why.data());
  for (const pid_t pid : children()) kill(pid, SIGKILL);
  std::exit(1);
}

Folder::Folder() {
  std::string pattern = (fs::temp_directory_path() / "lapwing-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) give_up("no temporary folder");
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  if (std::getenv("LAPWING_BENCH_KEEP") == nullptr) fs::remove_all(path_, ignored);
}

fs::path Folder::put(const std::string& name, std::string_view text) const {
  std::ofstream(path_ / name, std::ios::binary) << text;
  return path_ / name;
}

std::uint16_t free_port() {
  const int socket_id = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(socket_id, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(socket_id, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("no free port");
  }
  close(socket_id);
  return ntohs(address.sin_port);
}

Child Child::run(const std::vector<std::string>& command, const fs::path& log) {
  const pid_t pid = fork();
  if (pid < 0) give_up("fork failed");
  if (pid > 0) {
    children().insert(pid);
    return Child(pid);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

Child Child::fork_with(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) give_up("fork failed");
  if (pid > 0) {
    children().insert(pid);
    return Child(pid);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  body();
  _exit(0);
}

Child::~Child() {
  if (pid_ > 0) stop();
}

int Child::stop() {
  if (pid_ <= 0) return 0;
  kill(pid_, SIGTERM);
  int status = 0;
  for (int i = 0; i < 1000; ++i) {
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      children().erase(pid_);
      pid_ = -1;
      return status;
    }
    sleep_for(0.01);
  }
  kill(pid_, SIGKILL);
  return wait();
}

int Child::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  children().erase(pid_);
  pid_ = -1;
  return status;
}

bool Child::alive() {
  siginfo_t state{};
  return waitid(P_PID, static_cast<id_t>(pid_), &state, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         state.si_pid == 0;
}

double Child::cpu_seconds() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string word;
  double ticks = 0;
  for (int i = 3; i <= 15 && fields >> word; ++i) {
    if (i >= 14) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::uint64_t Child::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  std::string word;
  while (file >> word) {
    if (word != "VmRSS:") continue;
    std::uint64_t kib = 0;
    file >> kib;
    return kib * 1024;
  }
  return 0;
}

Broker::Broker(const Folder& folder, std::string_view settings)
    : port_(free_port()),
      process_(Child::run({"mosquitto", "-c",
                           folder
                               .put("mosquitto-" + std::to_string(port_) + ".conf",
                                    "listener " + std::to_string(port_) +
                                        " 127.0.0.1\nlog_dest stderr\n" + std::string(settings))
                               .string()},
                          folder.path() / "mosquitto.log")) {
  wait_for_port(port_);
}

void wait_for_port(std::uint16_t port, double seconds) {
  wait_until(
      [&] {
        const int socket_id = try_connect(port);
        if (socket_id >= 0) close(socket_id);
        return socket_id >= 0;
      },
      seconds, "nothing listens on port " + std::to_string(port));
}

void wait_until(const std::function<bool()>& done, double seconds, std::string_view what) {
  const double end = seconds_now() + seconds;
  while (!done()) {
    if (seconds_now() > end) give_up(what);
    sleep_for(0.02);
  }
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void publish_forever(std::uint16_t port, const std::vector<Packet>& packets, int qos, double rate,
                     std::uint64_t count, volatile std::uint64_t* sent) {
  Publisher publisher(port);
  const double begin = seconds_now();
  std::uint64_t done = 0;
  std::uint16_t packet_id = 0;
  while (count == 0 || done < count) {
    std::uint64_t due = done + 64;
    if (rate > 0) {
      due = static_cast<std::uint64_t>((seconds_now() - begin) * rate);
      if (due <= done) {
        sleep_for(0.001);
        continue;
      }
    }
    if (count != 0) due = std::min(due, count);
    std::string bytes;
    for (std::uint64_t i = done; i < due; ++i) {
      const Packet& packet = packets[i % packets.size()];
      std::string body = mqtt_text(packet.topic);
      if (qos != 0) {
        packet_id = static_cast<std::uint16_t>(packet_id % 65535 + 1);
        body += static_cast<char>(packet_id >> 8U);
        body += static_cast<char>(packet_id & 0xffU);
      }
      bytes += mqtt_packet(qos == 0 ? 0x30 : 0x32, body + packet.payload);
    }
    publisher.send_packets(bytes, due - done, qos);
    done = due;
    *sent = done;
  }
}

volatile std::uint64_t* shared_counter() {
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("no shared memory");
  return static_cast<volatile std::uint64_t*>(memory);
}

std::string http_get(std::uint16_t port, std::string_view path) {
  const int socket_id = try_connect(port);
  if (socket_id < 0) return {};
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (send(socket_id, request.data(), request.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(request.size())) {
    char buffer[65536];
    ssize_t count = 0;
    while ((count = recv(socket_id, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<std::size_t>(count));
    }
  }
  close(socket_id);
  const std::size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos || answer.find(" 200 ") > 16) return {};
  return answer.substr(body + 4);
}

double metric(std::string_view text, std::string_view name, std::string_view labels) {
  double sum = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() <= name.size()) continue;
    if (line[name.size()] != ' ' && line[name.size()] != '{') continue;
    if (line.find(labels) == std::string_view::npos) continue;
    sum += std::strtod(std::string(line.substr(line.rfind(' ') + 1)).c_str(), nullptr);
  }
  return sum;
}

void table_head() {
  std::printf("%-66s | %-16s | %s\n", "figure", "target", "measured");
  std::printf("%s\n", std::string(112, '-').c_str());
}

void row(std::string_view figure, std::string_view target, std::string_view measured, bool met) {
  std::printf("%-66.*s | %-16.*s | %.*s%s\n", static_cast<int>(figure.size()), figure.data(),
              static_cast<int>(target.size()), target.data(), static_cast<int>(measured.size()),
              measured.data(), met ? "" : "  MISSED");
  std::fflush(stdout);
}

std::string format(const char* pattern, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, value);  // NOLINT: patterns are literals
  return buffer;
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(share * last + 0.5)];
}

}  // namespace lapwing::bench
