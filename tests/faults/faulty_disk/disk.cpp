// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/faulty_disk/disk.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string_view>

namespace lapwing::faulty_disk {
namespace {

bool ends_with(const std::string& text, const char* end) {
  const std::size_t size = std::strlen(end);
  return text.size() >= size && text.compare(text.size() - size, size, end) == 0;
}

void put(int fd, std::string_view bytes, off_t at) {
  if (!bytes.empty() && REAL(pwrite)(fd, bytes.data(), bytes.size(), at) < 0)
    std::perror("faulty_disk");
}

}  // namespace

Disk& disk() {
  static Disk& one = *[] {
    auto* made = new Disk;
    const char* folder = std::getenv("LAPWING_FAULTY_DISK");
    if (folder != nullptr) made->folder = folder;
    made->lies = std::getenv("LAPWING_FAULTY_DISK_LIES") != nullptr;
    return made;
  }();
  return one;
}

bool covers(const char* path) {
  const std::string& folder = disk().folder;
  if (path == nullptr || folder.empty() || ends_with(path, "-shm")) return false;
  return std::strncmp(path, folder.c_str(), folder.size()) == 0 &&
         (path[folder.size()] == '/' || path[folder.size()] == '\0');
}

std::string held_folder() { return disk().folder + "-held"; }

off_t size_of(int fd) {
  struct stat at {};
  return ::fstat(fd, &at) == 0 ? at.st_size : 0;
}

std::string bytes_at(int fd, off_t at, std::size_t count) {
  std::string bytes(count, '\0');
  const auto got = REAL(pread)(fd, bytes.data(), count, at);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

void set_size(int fd, off_t size) {
  if (REAL(ftruncate)(fd, size) != 0) std::perror("faulty_disk");
}

void settle(File& file, const Fate& fate, std::mt19937_64& random) {
  if (file.unsynced.empty()) return;
  const auto chance = [&random](double share) {
    return std::uniform_real_distribution<>()(random) < share;
  };
  const off_t newest = size_of(file.own);
  const off_t oldest = file.unsynced.front().size_before;
  for (auto change = file.unsynced.rbegin(); change != file.unsynced.rend(); ++change) {
    put(file.own, change->before, change->at);
    set_size(file.own, change->size_before);
  }
  const std::size_t torn = fate.torn ? random() % file.unsynced.size() : file.unsynced.size();
  for (std::size_t i = 0; i < file.unsynced.size(); ++i) {
    const Change& change = file.unsynced[i];
    const std::size_t size = change.after.size();
    if (size == 0) {
      if (!fate.sizes || chance(fate.kept)) set_size(file.own, change.size_after);
      continue;
    }
    if (i == torn) {
      const std::size_t half = 1 + random() % size;
      const bool head = chance(0.5);
      put(file.own,
          std::string_view(change.after).substr(head ? 0 : half, head ? half : std::string::npos),
          change.at + static_cast<off_t>(head ? 0 : half));
      continue;
    }
    const std::size_t grain = fate.grain == 0 ? size : fate.grain;
    for (std::size_t begin = 0; begin < size;) {
      // Up to the next edge of a sector of the file, not of the write.
      const std::size_t into =
          fate.grain == 0 ? 0 : (static_cast<std::size_t>(change.at) + begin) % grain;
      const std::size_t count = std::min(size - begin, grain - into);
      if (chance(fate.kept)) {
        put(file.own, std::string_view(change.after).substr(begin, count),
            change.at + static_cast<off_t>(begin));
      }
      begin += count;
    }
  }
  if (!fate.sizes || chance(0.4)) {
    if (size_of(file.own) < newest || !fate.sizes) set_size(file.own, newest);
  } else if (oldest < size_of(file.own) && chance(0.3)) {
    set_size(file.own, oldest);
  }
  file.unsynced.clear();
}

void forget_names(Disk& d) {
  for (const Name& name : d.names) {
    if (!name.held.empty()) REAL(unlink)(name.held.c_str());
  }
  d.names.clear();
}

std::string hold(Disk& d, const char* path) {
  const std::string held = held_folder() + "/" + std::to_string(++d.held);
  REAL(unlink)(held.c_str());  // of a process before this one
  return ::link(path, held.c_str()) == 0 ? held : std::string();
}

namespace {

void undo_names(Disk& d) {
  for (std::size_t count = d.names.empty() ? 0 : d.random() % (d.names.size() + 1); count > 0;
       --count) {
    const Name name = d.names.back();
    d.names.pop_back();
    if (name.kind == Name::Kind::created) REAL(unlink)(name.from.c_str());
    if (name.kind == Name::Kind::renamed) REAL(rename)(name.to.c_str(), name.from.c_str());
    if (!name.held.empty()) {
      REAL(rename)
      (name.held.c_str(), (name.kind == Name::Kind::unlinked ? name.from : name.to).c_str());
    }
  }
  forget_names(d);
}

}  // namespace

void cut_power(Disk& d, const std::string& at) {
  if (d.armed.from_size != 0) {  // whoever watches looks once more, and lets go of the files
    answer(d.armed, "cut at " + at);
    std::unique_lock lock(d.go_mutex);
    d.go_changed.wait(lock, [&d] { return d.go; });
  }
  constexpr double kShares[] = {0, 0.5, 0.9, 1};
  const double kept = kShares[d.random() % std::size(kShares)];
  for (auto& [inode, file] : d.by_inode) {
    settle(*file, {.kept = kept, .grain = d.random() % 2 == 0 ? 512U : 0U, .torn = d.armed.torn},
           d.random);
  }
  undo_names(d);
  ::_exit(137);
}

}  // namespace lapwing::faulty_disk
