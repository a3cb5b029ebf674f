// SPDX-License-Identifier: Apache-2.0
#include "tests/agent/outbox/faulty_vfs.hpp"

#include <sqlite3.h>

#include <atomic>
#include <mutex>
#include <string>

namespace lapwing::testing {
namespace {

struct Plan {
  std::mutex mutex;
  Fault fault = Fault::io_write;
  int countdown = 0;
  int times = 0;
  int fired = 0;

  bool fails(bool is_sync) {
    const std::lock_guard lock(mutex);
    const bool wants_sync = fault == Fault::sync || fault == Fault::torn_sync;
    if (times == 0 || is_sync != wants_sync || --countdown > 0) return false;
    --times;
    ++fired;
    return true;
  }
};

Plan& plan() {
  static Plan one;
  return one;
}

sqlite3_vfs* real_vfs = nullptr;

struct File {
  sqlite3_file base;
  sqlite3_int64 last_at;
  int last_bytes;
  // The real file follows.
};

sqlite3_file* real(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(File));
}

template <auto Method, class... Arguments>
int forward(sqlite3_file* file, Arguments... arguments) {
  auto* const inner = real(file);
  return (inner->pMethods->*Method)(inner, arguments...);
}

int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  if (plan().fails(false)) return plan().fault == Fault::full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  auto* const mine = reinterpret_cast<File*>(file);
  mine->last_at = at;
  mine->last_bytes = count;
  return real(file)->pMethods->xWrite(real(file), bytes, count, at);
}

int sync(sqlite3_file* file, int flags) {
  if (!plan().fails(true)) return real(file)->pMethods->xSync(real(file), flags);
  if (plan().fault == Fault::torn_sync) {
    const auto* const mine = reinterpret_cast<File*>(file);
    const std::string zeros(static_cast<std::size_t>(mine->last_bytes / 2), '\0');
    real(file)->pMethods->xWrite(real(file), zeros.data(), static_cast<int>(zeros.size()),
                                 mine->last_at + mine->last_bytes / 2);
  }
  return SQLITE_IOERR_FSYNC;
}

int unfetch_nothing(sqlite3_file*, sqlite3_int64, void*) { return SQLITE_OK; }
int fetch_nothing(sqlite3_file*, sqlite3_int64, int, void** page) {
  *page = nullptr;
  return SQLITE_OK;
}

int shm_barrier_status(sqlite3_file*) { return SQLITE_OK; }
void shm_barrier(sqlite3_file* file) {
  (void)shm_barrier_status(file);
  real(file)->pMethods->xShmBarrier(real(file));
}

const sqlite3_io_methods kMethods = {
    .iVersion = 3,
    .xClose = &forward<&sqlite3_io_methods::xClose>,
    .xRead = &forward<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
    .xWrite = &write,
    .xTruncate = &forward<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
    .xSync = &sync,
    .xFileSize = &forward<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
    .xLock = &forward<&sqlite3_io_methods::xLock, int>,
    .xUnlock = &forward<&sqlite3_io_methods::xUnlock, int>,
    .xCheckReservedLock = &forward<&sqlite3_io_methods::xCheckReservedLock, int*>,
    .xFileControl = &forward<&sqlite3_io_methods::xFileControl, int, void*>,
    .xSectorSize = &forward<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = &forward<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = &forward<&sqlite3_io_methods::xShmMap, int, int, int, void volatile**>,
    .xShmLock = &forward<&sqlite3_io_methods::xShmLock, int, int, int>,
    .xShmBarrier = &shm_barrier,
    .xShmUnmap = &forward<&sqlite3_io_methods::xShmUnmap, int>,
    .xFetch = &fetch_nothing,
    .xUnfetch = &unfetch_nothing,
};

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  const int status = real_vfs->xOpen(real_vfs, name, real(file), flags, out_flags);
  if (real(file)->pMethods != nullptr) file->pMethods = &kMethods;
  return status;
}

}  // namespace

void FaultyVfs::install() {
  static sqlite3_vfs vfs = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    sqlite3_vfs made = *real_vfs;
    made.szOsFile += static_cast<int>(sizeof(File));
    made.zName = "faulty";
    made.pNext = nullptr;
    made.xOpen = &open;
    return made;
  }();
  sqlite3_vfs_register(&vfs, 1);
}

void FaultyVfs::arm(Fault fault, int nth, int times) {
  const std::lock_guard lock(plan().mutex);
  plan().fault = fault;
  plan().countdown = nth;
  plan().times = times;
  plan().fired = 0;
}

void FaultyVfs::disarm() {
  const std::lock_guard lock(plan().mutex);
  plan().times = 0;
}

int FaultyVfs::fired() {
  const std::lock_guard lock(plan().mutex);
  return plan().fired;
}

}  // namespace lapwing::testing
