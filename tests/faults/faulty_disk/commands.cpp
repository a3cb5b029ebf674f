// SPDX-License-Identifier: Apache-2.0
// Commands come as datagrams to the Unix socket LAPWING_FAULTY_DISK_SOCKET, the first one maybe as
// LAPWING_FAULTY_DISK_COMMAND; the answer comes when it is done, of faults when the fault strikes:
//
// cut lost|torn NTH SEED: power fails at the NTH change or sync. It answers and stands still; `go`
//   lets it happen
// kill before|after write|sync|any NTH: SIGKILL around that call
// fail write|sync EIO|ENOSPC NTH TIMES: the call fails; a failed sync may lose half of what it was
//   to make durable
// full on|all|off: every write that lets a file grow, or every one, fails with ENOSPC
// disarm
// counters: names and numbers
//
// A file's name after cut, kill and fail: only calls on it count.
#include "tests/faults/faulty_disk/disk.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

namespace lapwing::faulty_disk {

void answer(const Armed& to, const std::string& text) {
  if (to.from_size == 0) return;
  ::sendto(disk().socket, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to.from),
           to.from_size);
}

namespace {

std::string counters(const Disk& d) {
  std::ostringstream text;
  text << "writes " << d.writes << " syncs " << d.syncs << " failed " << d.failed << " refused "
       << d.refused << " retries " << d.retries << " vouched " << d.vouched;
  return text.str();
}

/// The answer, empty when it comes later.
std::string obey(const std::string& command, Armed from) {
  Disk& d = disk();
  std::istringstream words(command);
  std::string verb;
  std::string what;
  words >> verb;
  if (verb == "go") {  // the one that is cut holds the disk's lock
    const std::lock_guard lock(d.go_mutex);
    d.go = true;
    d.go_changed.notify_all();
    return {};
  }
  if (verb == "counters") return counters(d);
  const std::lock_guard lock(d.mutex);
  if (verb == "disarm") {
    d.armed = {};
    return "ok";
  }
  words >> what;
  if (verb == "full") {
    d.full = what != "off";
    d.full_all = what == "all";
    return "ok";
  }
  if (verb == "cut") {
    std::uint64_t seed = 0;
    from.kind = Armed::Kind::cut;
    from.torn = what == "torn";
    words >> from.nth >> seed;
    d.random.seed(seed);
  } else if (verb == "kill") {
    std::string calls;
    from.kind = Armed::Kind::kill;
    from.after = what == "after";
    words >> calls >> from.nth;
    from.writes = calls != "sync";
    from.syncs = calls != "write";
  } else if (verb == "fail") {
    std::string error;
    from.kind = Armed::Kind::fail;
    words >> error >> from.nth >> from.times;
    from.error = error == "ENOSPC" ? ENOSPC : EIO;
    from.writes = what == "write";
    from.syncs = what == "sync";
  } else {
    return "not understood: " + command;
  }
  words >> from.file;
  d.armed = from;
  return {};
}

void listen() {
  for (;;) {
    char text[256];
    Armed from;
    from.from_size = sizeof from.from;
    const auto got = ::recvfrom(disk().socket, text, sizeof text, 0,
                                reinterpret_cast<sockaddr*>(&from.from), &from.from_size);
    if (got < 0) continue;
    const std::string reply = obey(std::string(text, static_cast<std::size_t>(got)), from);
    if (!reply.empty()) answer(from, reply);
  }
}

__attribute__((constructor)) void start() {
  Disk& d = disk();
  const char* path = std::getenv("LAPWING_FAULTY_DISK_SOCKET");
  if (d.folder.empty() || path == nullptr) return;
  ::mkdir(held_folder().c_str(), 0700);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  REAL(unlink)(path);
  d.socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (::bind(d.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror(path);
    ::_exit(2);
  }
  if (const char* command = std::getenv("LAPWING_FAULTY_DISK_COMMAND")) obey(command, {});
  std::thread(listen).detach();
}

}  // namespace
}  // namespace lapwing::faulty_disk
