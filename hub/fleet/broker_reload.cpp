// SPDX-License-Identifier: Apache-2.0
#include "hub/fleet/broker_reload.hpp"

#include "shared/base/files.hpp"
#include "shared/base/time.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>

extern char** environ;

namespace lapwing::hub {
namespace {

constexpr Micros kCommandTime = std::chrono::seconds(5);
constexpr std::string_view kRemedy = "; see [mqtt] reload in hub.toml";

/// A number that is left in a file may be another program's by now: SIGHUP would end it.
Result<void> is_mosquitto(pid_t process, const std::string& file) {
  const auto name = read_file("/proc/" + std::to_string(process) + "/comm", 64);
  if (!name) {
    return Error{Errc::not_found, file + " names process " + std::to_string(process) +
                                      ", which is not there: is the broker running?"};
  }
  if (!name->starts_with("mosquitto")) {
    return Error{Errc::not_found, file + " names process " + std::to_string(process) +
                                      ", which is no mosquitto: the file is old" +
                                      std::string(kRemedy)};
  }
  return {};
}

Result<void> hang_up(const std::string& file) {
  const auto text = read_file(file, 64);
  if (!text) {
    return Error{text.error().code, "the broker's process is not known (" + text.error().context +
                                        "): give mosquitto.conf the line `pid_file " + file +
                                        "` and restart it, or" +
                                        " tell another way with [mqtt] reload in hub.toml"};
  }
  pid_t process = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), process);
  if (read.ec != std::errc{} || process <= 1) {
    return Error{Errc::not_found, file + ": no process number inside" + std::string(kRemedy)};
  }
  if (auto right = is_mosquitto(process, file); !right) return right;
  if (::kill(process, SIGHUP) == 0) return {};
  return Error{errno == EPERM ? Errc::denied : Errc::not_found,
               "SIGHUP to the broker, process " + std::to_string(process) + ": " +
                   std::strerror(errno) + "; run hub and broker as one user, or use another way" +
                   std::string(kRemedy)};
}

Result<void> run_command(const std::string& line) {
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = line;
  char* const argv[] = {shell.data(), flag.data(), text.data(), nullptr};
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);  // the hub blocks signals; its child must not
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, "/bin/sh", nullptr, &attributes, argv, environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return Error{Errc::io, std::string("/bin/sh: ") + std::strerror(failed)};
  const Ticks until = ticks_now() + kCommandTime;
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
      return Error{Errc::io, "`" + line + "` failed" +
                                 (WIFEXITED(status) ? " with " + std::to_string(WEXITSTATUS(status))
                                                    : std::string()) +
                                 std::string(kRemedy)};
    }
    if (ticks_now() > until) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      return Error{Errc::io, "`" + line + "` took longer than 5 s" + std::string(kRemedy)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

Result<BrokerReload> BrokerReload::parse(std::string_view text) {
  constexpr std::string_view kPid = "pid:";
  constexpr std::string_view kCommand = "command:";
  if (text == "none") return BrokerReload{};
  if (text.starts_with(kPid) && text.size() > kPid.size()) {
    return BrokerReload{Way::pid, std::string(text.substr(kPid.size()))};
  }
  if (text.starts_with(kCommand) && text.size() > kCommand.size()) {
    return BrokerReload{Way::command, std::string(text.substr(kCommand.size()))};
  }
  return Error{Errc::bad_config, "\"" + std::string(text.substr(0, 80)) +
                                     "\": pid:FILE, command:LINE or none is wanted"};
}

Result<void> reload_broker(const BrokerReload& how) {
  switch (how.way) {
    case BrokerReload::Way::pid:
      return hang_up(how.argument);
    case BrokerReload::Way::command:
      return run_command(how.argument);
    case BrokerReload::Way::none:
      break;
  }
  return Error{Errc::unsupported,
               "nobody tells the broker to read its files anew ([mqtt] reload is none)"};
}

}  // namespace lapwing::hub
