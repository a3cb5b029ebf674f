// SPDX-License-Identifier: Apache-2.0
#include "shared/base/files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lapwing {
namespace {

Error system_error(const std::filesystem::path& path, const char* doing, int number) {
  const std::string text = path.string() + ": cannot " + doing + ": " + std::strerror(number);
  switch (number) {
    case ENOENT:
      return {Errc::not_found, text};
    case EACCES:
    case EPERM:
      return {Errc::denied, text + "; check the owner and mode of the file and its folder"};
    case ENOSPC:
    case EDQUOT:
      return {Errc::limit, text + "; free space on this volume"};
    default:
      return {Errc::io, text};
  }
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

int write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path, "open", errno);
  std::string bytes;
  char buffer[16384];
  for (;;) {
    const auto got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return system_error(path, "read", errno);
    }
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > bytes_max) {
      return Error{Errc::limit, path.string() + ": longer than " + std::to_string(bytes_max) +
                                    " bytes; is it the right file?"};
    }
  }
}

Result<Secret<std::string>> read_secret(const std::filesystem::path& path) {
  constexpr std::uint64_t kSecretBytesMax = 65536;
  auto contents = read_file(path, kSecretBytesMax);
  if (!contents) return std::move(contents).error();
  while (!contents->empty() && (contents->back() == '\n' || contents->back() == '\r')) {
    contents->pop_back();
  }
  return Secret<std::string>(*std::move(contents));
}

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view bytes,
                               ::mode_t mode) {
  const std::filesystem::path fresh = path.string() + ".new";
  ::unlink(fresh.c_str());  // left by a crash; its mode may be another
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return system_error(fresh, "create", errno);
    if (const int failed = write_all(file.get(), bytes)) {
      ::unlink(fresh.c_str());
      return system_error(fresh, "write", failed);
    }
    if (::fsync(file.get()) != 0) {
      const int failed = errno;
      ::unlink(fresh.c_str());
      return system_error(fresh, "fsync", failed);
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_error(path, "replace", errno);
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return system_error(folder, "open", errno);
  if (::fsync(directory.get()) != 0) return system_error(folder, "fsync", errno);
  return {};
}

Result<FileLock> FileLock::take(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    return system_error(path, "lock", errno);
  }
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    return Error{Errc::exists, path.string() + " is held by another process; stop it first"};
  }
  return FileLock(file);
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace lapwing
