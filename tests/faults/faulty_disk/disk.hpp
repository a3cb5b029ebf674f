// SPDX-License-Identifier: Apache-2.0
/// A disk with faults, preloaded (LD_PRELOAD) into a real process: every file below
/// LAPWING_FAULTY_DISK has them, shared memory (-shm) excepted. Until a file is synced its changes
/// are kept, old and new bytes; a power cut leaves any part of them, in any order, and undoes any
/// number of the folder's newest unsynced names (create, rename, unlink).
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace lapwing::faulty_disk {

/// The C library's function of that name.
#define REAL(name)                                                                               \
  ([] {                                                                                          \
    static const auto function = reinterpret_cast<decltype(&::name)>(::dlsym(RTLD_NEXT, #name)); \
    return function;                                                                             \
  }())

/// A write (`after`) or a change of size (no `after`), as long as it is not synced.
struct Change {
  off_t at = 0;
  std::string before;
  std::string after;
  off_t size_before = 0;
  off_t size_after = 0;
};

/// Bytes of a file.
struct Extent {
  off_t begin = 0;
  off_t end = 0;
};

/// By inode: names and descriptors come and go.
struct File {
  std::string path;
  int own = -1;  ///< never closed: closing any descriptor of a file drops the process's locks on it
  std::deque<Change> unsynced;
  int failed_fd = -1;            ///< a sync of it failed, and it was not closed since
  std::vector<Extent> doubtful;  ///< what that sync was to make durable, and was not written again
};

/// A change of the folder, as long as that is not synced.
struct Name {
  enum class Kind { created, renamed, unlinked } kind;
  std::string from;
  std::string to;
  std::string held;  ///< a link to what was unlinked or replaced; empty: nothing was
};

/// What commands count: writes, changes of sizes and names; syncs.
enum class Call { write, sync };

/// What is to happen at the nth call from now on.
struct Armed {
  enum class Kind { none, cut, kill, fail } kind = Kind::none;
  bool torn = false;
  bool after = false;
  bool writes = true;
  bool syncs = true;
  std::string file;  ///< only calls on this one count; empty: on any
  int error = EIO;
  long nth = 0;
  long times = 0;
  bool told = false;
  sockaddr_un from{};
  socklen_t from_size = 0;
};

/// What a descriptor is to us.
enum class Kind : char { none, file, folder };
constexpr int kFdsMax = 4096;

/// Everything; one a process, never destroyed.
struct Disk {
  std::mutex mutex;  // a cut keeps it for ever: nothing that touches the disk returns
  std::string folder;
  std::array<std::atomic<Kind>, kFdsMax> kinds{};  // asked without the lock
  std::unordered_map<int, std::shared_ptr<File>> files;
  std::unordered_map<int, std::string> folders;
  std::map<std::pair<dev_t, ino_t>, std::shared_ptr<File>> by_inode;
  std::vector<Name> names;
  Armed armed;
  bool lies = false;      ///< syncs are answered, and nothing is durable: so cases must fail
  bool full = false;      ///< nothing grows
  bool full_all = false;  ///< nothing is written, in place neither
  std::mt19937_64 random{1};
  long held = 0;
  std::atomic<long> writes{0}, syncs{0}, failed{0}, refused{0}, retries{0}, vouched{0};
  int socket = -1;
  std::mutex go_mutex;
  std::condition_variable go_changed;
  bool go = false;
};

Disk& disk();
/// Whether the path is below the folder that has faults.
[[nodiscard]] bool covers(const char* path);

[[nodiscard]] off_t size_of(int fd);
[[nodiscard]] std::string bytes_at(int fd, off_t at, std::size_t count);
void set_size(int fd, off_t size);
/// Where what lost its name is kept.
[[nodiscard]] std::string held_folder();

/// How much of the unsynced changes the disk keeps.
struct Fate {
  double kept = 0;        ///< share
  std::size_t grain = 0;  ///< bytes that are kept or lost together; 0: whole writes
  bool sizes = true;      ///< a new size may be lost, too
  bool torn = false;      ///< one of the writes is cut in the middle
};

/// Leaves the file as a disk may, on which some of the changes have arrived.
void settle(File& file, const Fate& fate, std::mt19937_64& random);
/// All names are on the disk.
void forget_names(Disk& d);
/// Another name for what a name is about to be taken from, until the folder is synced.
[[nodiscard]] std::string hold(Disk& d, const char* path);
[[noreturn]] void cut_power(Disk& d, const std::string& at);

/// To whoever gave the command.
void answer(const Armed& to, const std::string& text);

}  // namespace lapwing::faulty_disk
