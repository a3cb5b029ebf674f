// SPDX-License-Identifier: Apache-2.0
// What stands in the place of the C library's calls.
#include "tests/faults/faulty_disk/disk.hpp"

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <fcntl.h>
#include <utility>

namespace lapwing::faulty_disk {
namespace {

[[noreturn]] void kill_self(const std::string& at) {
  answer(disk().armed, "killed at " + at);
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

/// Counts the call that is to come, with the lock held. An error number: it fails.
class Step {
 public:
  Step(Disk& d, Call call, const std::string& path) : disk_(d) {
    ++(call == Call::write ? d.writes : d.syncs);
    Armed& armed = d.armed;
    if (armed.kind == Armed::Kind::none || !(call == Call::write ? armed.writes : armed.syncs))
      return;
    const std::string file = path.substr(path.rfind('/') + 1);
    if (!armed.file.empty() && file != armed.file) return;
    if (--armed.nth > 0) return;
    where_ = (call == Call::write ? "write " : "sync ") + file;
    if (armed.kind == Armed::Kind::cut) {
      strikes_after_ = call == Call::write;  // the write is under way; a sync does not end
      if (!strikes_after_) cut_power(d, where_);
    } else if (armed.kind == Armed::Kind::kill) {
      strikes_after_ = armed.after;
      if (!strikes_after_) kill_self(where_);
    } else {
      error_ = armed.error;
      ++d.failed;
      if (!std::exchange(armed.told, true)) answer(armed, "failed " + where_);
      if (--armed.times <= 0) armed = {};
    }
  }
  [[nodiscard]] int error() const { return error_; }
  void done() {
    if (!strikes_after_) return;
    if (disk_.armed.kind == Armed::Kind::cut) cut_power(disk_, where_);
    kill_self(where_);
  }

 private:
  Disk& disk_;
  std::string where_;
  int error_ = 0;
  bool strikes_after_ = false;
};

int fail(int error) {
  errno = error;
  return -1;
}

std::shared_ptr<File> file_of(int fd) {
  const auto found = disk().files.find(fd);
  return found == disk().files.end() ? nullptr : found->second;
}

void track(Disk& d, int fd, const char* path) {
  struct stat at {};
  if (fd >= kFdsMax || ::fstat(fd, &at) != 0) return;
  if (S_ISDIR(at.st_mode)) {
    d.folders[fd] = path;
    d.kinds[fd] = Kind::folder;
    return;
  }
  auto& file = d.by_inode[{at.st_dev, at.st_ino}];
  if (!file) {
    file = std::make_shared<File>();
    file->own = REAL(open)(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC);
  }
  file->path = path;
  if (file->own < 0) return;
  d.files[fd] = file;
  d.kinds[fd] = Kind::file;
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  if (!covers(path)) return REAL(openat)(folder, path, flags, mode);
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  const bool there = ::access(path, F_OK) == 0;
  const int fd = REAL(openat)(folder, path, there ? flags & ~O_TRUNC : flags, mode);
  if (fd < 0) return fd;
  track(d, fd, path);
  if (!there && (flags & O_CREAT) != 0) d.names.push_back({Name::Kind::created, path, {}, {}});
  if (const auto file = file_of(fd); file && there && (flags & O_TRUNC) != 0 && size_of(fd) > 0) {
    const off_t size = size_of(fd);
    file->unsynced.push_back(
        {0, bytes_at(file->own, 0, static_cast<std::size_t>(size)), {}, size, 0});
    set_size(fd, 0);
  }
  return fd;
}

void no_doubt(File& file, off_t begin, off_t end) {
  std::vector<Extent> left;
  for (const Extent& one : file.doubtful) {
    if (one.begin < begin) left.push_back({one.begin, std::min(one.end, begin)});
    if (one.end > end) left.push_back({std::max(one.begin, end), one.end});
  }
  file.doubtful = std::move(left);
}

ssize_t write_file(int fd, const void* bytes, std::size_t count, off_t at, bool move) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  const auto file = file_of(fd);
  if (move) at = (::fcntl(fd, F_GETFL) & O_APPEND) != 0 ? size_of(fd) : ::lseek(fd, 0, SEEK_CUR);
  Step step(d, Call::write, file->path);
  if (step.error() != 0) return fail(step.error());
  const off_t size = size_of(fd);
  if (d.full && (d.full_all || at + static_cast<off_t>(count) > size)) {
    ++d.refused;
    if (count < 2 || d.random() % 2 == 0) return fail(ENOSPC);
    count /= 2;  // what there still was room for
  }
  Change change{at, bytes_at(file->own, at, count), {}, size, 0};
  const ssize_t done = move ? REAL(write)(fd, bytes, count) : REAL(pwrite)(fd, bytes, count, at);
  if (done < 0) return done;
  change.after.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(done));
  change.size_after = std::max(size, at + static_cast<off_t>(done));
  if (done > 0) file->unsynced.push_back(std::move(change));
  no_doubt(*file, at, at + static_cast<off_t>(done));
  step.done();
  return done;
}

int resize_file(int fd, off_t size) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  const auto file = file_of(fd);
  Step step(d, Call::write, file->path);
  if (step.error() != 0) return fail(step.error());
  const off_t before = size_of(fd);
  Change change{size, {}, {}, before, size};
  if (size < before)
    change.before = bytes_at(file->own, size, static_cast<std::size_t>(before - size));
  if (REAL(ftruncate)(fd, size) != 0) return -1;
  if (size != before) file->unsynced.push_back(std::move(change));
  no_doubt(*file, size, std::max(size, before));
  step.done();
  return 0;
}

int sync_file(int fd, int (*sync)(int)) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  if (const auto folder = d.folders.find(fd); folder != d.folders.end()) {
    Step step(d, Call::sync, folder->second);
    if (step.error() != 0) return fail(step.error());
    forget_names(d);
    step.done();
    return sync(fd);
  }
  const auto file = file_of(fd);
  if (file->failed_fd >= 0) {
    ++d.retries;
    std::fprintf(stderr, "faulty disk: the failed sync of %s is tried again\n", file->path.c_str());
  }
  if (!file->doubtful.empty()) ++d.vouched;
  Step step(d, Call::sync, file->path);
  if (step.error() != 0) {
    // As Linux does: what could not be written is called clean, and may be gone when it is next
    // read.
    for (const Change& change : file->unsynced) {
      if (!change.after.empty())
        file->doubtful.push_back({change.at, change.at + static_cast<off_t>(change.after.size())});
    }
    file->failed_fd = fd;
    if (d.random() % 2 == 0) settle(*file, {.kept = 0.5, .grain = 4096, .sizes = false}, d.random);
    file->unsynced.clear();
    return fail(step.error());
  }
  const int done = sync(fd);
  if (done == 0 && !d.lies) file->unsynced.clear();
  step.done();
  return done;
}

int close_file(int fd) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  if (const auto file = file_of(fd); file && file->failed_fd == fd) {
    file->failed_fd = -1;
    file->doubtful.clear();
  }
  d.files.erase(fd);
  d.folders.erase(fd);
  d.kinds[fd] = Kind::none;
  return REAL(close)(fd);
}

int unlink_file(const char* path) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  if (::access(path, F_OK) != 0) return REAL(unlink)(path);
  Step step(d, Call::write, path);
  if (step.error() != 0) return fail(step.error());
  Name name{Name::Kind::unlinked, path, {}, hold(d, path)};
  const int done = REAL(unlink)(path);
  if (done == 0) d.names.push_back(std::move(name));
  step.done();
  return done;
}

int rename_file(const char* from, const char* to) {
  Disk& d = disk();
  const std::lock_guard lock(d.mutex);
  if (::access(from, F_OK) != 0) return REAL(rename)(from, to);
  Step step(d, Call::write, to);
  if (step.error() != 0) return fail(step.error());
  Name name{Name::Kind::renamed, from, to, ::access(to, F_OK) == 0 ? hold(d, to) : std::string()};
  const int done = REAL(rename)(from, to);
  if (done == 0) d.names.push_back(std::move(name));
  step.done();
  return done;
}

bool is_file(int fd) { return fd >= 0 && fd < kFdsMax && disk().kinds[fd] == Kind::file; }
bool is_ours(int fd) { return fd >= 0 && fd < kFdsMax && disk().kinds[fd] != Kind::none; }

}  // namespace
}  // namespace lapwing::faulty_disk

using namespace lapwing::faulty_disk;

extern "C" {

#pragma GCC visibility push(default)

#define MODE_OF_CALL                          \
  mode_t mode = 0;                            \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list rest;                             \
    va_start(rest, flags);                    \
    mode = va_arg(rest, mode_t);              \
    va_end(rest);                             \
  }

int open(const char* path, int flags, ...) {
  MODE_OF_CALL
  return open_file(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE_OF_CALL
  return open_file(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  MODE_OF_CALL
  return open_file(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  MODE_OF_CALL
  return open_file(folder, path, flags | O_LARGEFILE, mode);
}
int close(int fd) { return is_ours(fd) ? close_file(fd) : REAL(close)(fd); }
ssize_t pwrite(int fd, const void* bytes, std::size_t count, off_t at) {
  return is_file(fd) ? write_file(fd, bytes, count, at, false) : REAL(pwrite)(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void* bytes, std::size_t count, off_t at) {
  return pwrite(fd, bytes, count, at);
}
ssize_t write(int fd, const void* bytes, std::size_t count) {
  return is_file(fd) ? write_file(fd, bytes, count, 0, true) : REAL(write)(fd, bytes, count);
}
ssize_t pread(int fd, void* bytes, std::size_t count, off_t at) {
  if (!is_file(fd)) return REAL(pread)(fd, bytes, count, at);
  const std::lock_guard lock(disk().mutex);  // not while power is being cut
  return REAL(pread)(fd, bytes, count, at);
}
ssize_t pread64(int fd, void* bytes, std::size_t count, off_t at) {
  return pread(fd, bytes, count, at);
}
int ftruncate(int fd, off_t size) noexcept {
  return is_file(fd) ? resize_file(fd, size) : REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off_t size) noexcept { return ftruncate(fd, size); }
int posix_fallocate(int fd, off_t at, off_t count) {
  if (!is_file(fd)) return REAL(posix_fallocate)(fd, at, count);
  if (at + count <= size_of(fd)) return 0;
  if (disk().full) return ENOSPC;
  return resize_file(fd, at + count) == 0 ? 0 : errno;
}
int fsync(int fd) { return is_ours(fd) ? sync_file(fd, REAL(fsync)) : REAL(fsync)(fd); }
int fdatasync(int fd) { return is_ours(fd) ? sync_file(fd, REAL(fdatasync)) : REAL(fdatasync)(fd); }
int unlink(const char* path) noexcept {
  return covers(path) ? unlink_file(path) : REAL(unlink)(path);
}
int remove(const char* path) noexcept {
  struct stat at {};
  const bool file = covers(path) && ::lstat(path, &at) == 0 && !S_ISDIR(at.st_mode);
  return file ? unlink_file(path) : REAL(remove)(path);
}
int rename(const char* from, const char* to) noexcept {
  return covers(from) && covers(to) ? rename_file(from, to) : REAL(rename)(from, to);
}

#pragma GCC visibility pop
}
