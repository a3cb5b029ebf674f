// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
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

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// In the child: only what is safe after fork in a process with threads.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* out,
                         const char* err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int in = open("/dev/null", O_RDONLY);
  const int to_out = open(out, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int to_err = open(err, O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(in, STDIN_FILENO);
  dup2(to_out, STDOUT_FILENO);
  dup2(to_err, STDERR_FILENO);
  execvpe(argv[0], argv, environment);
  _exit(127);
}

/// The full path of a program; as given when it has a slash.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string folders = std::string(path == nullptr ? "" : path) + ":/usr/sbin:/usr/local/sbin";
  for (std::size_t at = 0; at < folders.size();) {
    const auto end = std::min(folders.find(':', at), folders.size());
    const auto candidate = fs::path(folders.substr(at, end - at)) / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
    at = end + 1;
  }
  throw std::runtime_error(name + ": not installed");
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "lapwing-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path TempDir::put(const std::string& name, std::string_view text) const {
  std::ofstream(path_ / name, std::ios::binary) << text;
  return path_ / name;
}

bool eventually(const std::function<bool()>& question, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!question()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool accepts(std::uint16_t port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool good =
      connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(client);
  return good;
}

Process::Process(std::vector<std::string> argv, const Environment& environment) {
  if (argv.empty()) throw std::runtime_error("no program");
  argv[0] = find_program(argv[0]);
  std::vector<std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    bool replaced = false;
    for (const auto& [name, value] : environment) {
      replaced |= text.substr(0, text.find('=')) == name;
    }
    if (!replaced) variables.emplace_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);

  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  std::vector<char*> settings;
  for (auto& one : variables) settings.push_back(one.data());
  settings.push_back(nullptr);
  const std::string out = (folder_.path() / "out").string();
  const std::string err = (folder_.path() / "err").string();
  id_ = fork();
  if (id_ == 0) become(words.data(), settings.data(), out.c_str(), err.c_str());
  if (id_ < 0) throw std::runtime_error(argv[0] + ": " + std::strerror(errno));
}

Process::~Process() { kill(); }

bool Process::running() { return !wait(std::chrono::milliseconds(0)); }

void Process::signal(int number) const {
  if (!exit_) ::kill(id_, number);
}

void Process::kill() {
  signal(SIGKILL);
  wait();
}

int Process::stop(std::chrono::milliseconds patience) {
  signal(SIGTERM);
  if (!wait(patience)) kill();
  return exit_.value_or(-1);
}

std::optional<int> Process::wait(std::chrono::milliseconds patience) {
  eventually(
      [this] {
        int status = 0;
        if (!exit_ && waitpid(id_, &status, WNOHANG) == id_) {
          exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        return exit_.has_value();
      },
      patience);
  return exit_;
}

bool Process::wait_for(std::string_view text, std::chrono::milliseconds patience) {
  const auto told = [&] {
    return out().find(text) != std::string::npos || err().find(text) != std::string::npos;
  };
  bool found = false;
  eventually([&] { return (found = told()) || !running(); }, patience);
  return found || told();  // what it wrote just before its end counts
}

std::string Process::out() const { return contents(folder_.path() / "out"); }
std::string Process::err() const { return contents(folder_.path() / "err"); }

}  // namespace lapwing::testing
