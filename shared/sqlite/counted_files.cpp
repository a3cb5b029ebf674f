// SPDX-License-Identifier: Apache-2.0
#include "shared/sqlite/counted_files.hpp"

#include <sqlite3.h>

#include <cstddef>

namespace lapwing::sqlite {
namespace {

constexpr const char* kName = "lapwing-counted";
constexpr int kInnerBytesMax = 1024;  // of a file of the usual file system

thread_local std::atomic<std::uint64_t>* counting = nullptr;

struct File {
  sqlite3_file base;
  sqlite3_io_methods methods;  ///< the inner file's version of them, ours in front
  std::atomic<std::uint64_t>* bytes;
  // The inner file follows.
};

File* outer(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* inner(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(file) + sizeof(File));
}

template <auto Method, class... Arguments>
auto forward(sqlite3_file* file, Arguments... arguments) {
  auto* const real = inner(file);
  return (real->pMethods->*Method)(real, arguments...);
}

int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  if (auto* const total = outer(file)->bytes; total != nullptr) {
    total->fetch_add(static_cast<std::uint64_t>(count), std::memory_order_relaxed);
  }
  return forward<&sqlite3_io_methods::xWrite>(file, bytes, count, at);
}

sqlite3_io_methods methods_of(int version) {
  using M = sqlite3_io_methods;
  return {.iVersion = version,
          .xClose = &forward<&M::xClose>,
          .xRead = &forward<&M::xRead, void*, int, sqlite3_int64>,
          .xWrite = &write,
          .xTruncate = &forward<&M::xTruncate, sqlite3_int64>,
          .xSync = &forward<&M::xSync, int>,
          .xFileSize = &forward<&M::xFileSize, sqlite3_int64*>,
          .xLock = &forward<&M::xLock, int>,
          .xUnlock = &forward<&M::xUnlock, int>,
          .xCheckReservedLock = &forward<&M::xCheckReservedLock, int*>,
          .xFileControl = &forward<&M::xFileControl, int, void*>,
          .xSectorSize = &forward<&M::xSectorSize>,
          .xDeviceCharacteristics = &forward<&M::xDeviceCharacteristics>,
          .xShmMap = &forward<&M::xShmMap, int, int, int, void volatile**>,
          .xShmLock = &forward<&M::xShmLock, int, int, int>,
          .xShmBarrier = &forward<&M::xShmBarrier>,
          .xShmUnmap = &forward<&M::xShmUnmap, int>,
          .xFetch = &forward<&M::xFetch, sqlite3_int64, int, void**>,
          .xUnfetch = &forward<&M::xUnfetch, sqlite3_int64, void*>};
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  sqlite3_vfs* const usual = sqlite3_vfs_find(nullptr);
  if (usual->szOsFile > kInnerBytesMax) return SQLITE_CANTOPEN;
  const int status = usual->xOpen(usual, name, inner(file), flags, out_flags);
  if (inner(file)->pMethods == nullptr) return status;
  outer(file)->methods = methods_of(inner(file)->pMethods->iVersion);
  outer(file)->bytes = counting;
  file->pMethods = &outer(file)->methods;
  return status;
}

}  // namespace

CountedFiles::CountedFiles(std::atomic<std::uint64_t>* bytes) { counting = bytes; }
CountedFiles::~CountedFiles() { counting = nullptr; }

const char* CountedFiles::file_system() {
  if (counting == nullptr) return nullptr;
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs made = *sqlite3_vfs_find(nullptr);
    made.szOsFile = static_cast<int>(sizeof(File)) + kInnerBytesMax;
    made.zName = kName;
    made.pNext = nullptr;
    made.xOpen = &open;
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  return registered == SQLITE_OK ? kName : nullptr;
}

}  // namespace lapwing::sqlite
