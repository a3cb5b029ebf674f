// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/part_file.hpp"

#include "shared/base/hex.hpp"

#include <openssl/evp.h>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace lapwing::agent {
namespace {

constexpr std::size_t kReadBytes = 256U << 10U;

Error failure(const std::filesystem::path& file, int number) {
  const Errc code = number == ENOSPC || number == EDQUOT  ? Errc::limit
                    : number == EACCES || number == EPERM ? Errc::denied
                                                          : Errc::io;
  return {code, file.string() + ": " + std::generic_category().message(number)};
}

std::filesystem::path part_of(const std::filesystem::path& file) {
  return std::filesystem::path(file).concat(".part");
}

Result<std::string> digest_of(int descriptor, const std::filesystem::path& file) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::vector<char> bytes(kReadBytes);
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (::off_t at = 0; good;) {
    const ::ssize_t got = ::pread(descriptor, bytes.data(), bytes.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(file, errno);
    if (got == 0) break;
    good = EVP_DigestUpdate(context.get(), bytes.data(), static_cast<std::size_t>(got)) == 1;
    at += got;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (!good || EVP_DigestFinal_ex(context.get(), digest, &length) != 1) {
    return Error{Errc::corrupt, file.string() + ": its SHA-256 cannot be reckoned"};
  }
  return hex({reinterpret_cast<const char*>(digest), length});
}

Result<void> sync_folder(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure(folder, errno);
  const bool good = ::fsync(descriptor) == 0;
  const int number = errno;
  ::close(descriptor);
  if (!good) return failure(folder, number);
  return {};
}

}  // namespace

Result<PartFile> PartFile::open(const std::filesystem::path& file, std::uint64_t length) {
  const auto part = part_of(file);
  const int descriptor = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return failure(part, errno);
  PartFile opened(file, descriptor, 0);
  struct ::stat found {};
  if (::fstat(descriptor, &found) != 0) return failure(part, errno);
  opened.have_ = opened.synced_ = static_cast<std::uint64_t>(found.st_size);
  if (opened.have_ > length) {
    if (auto cleared = opened.clear(); !cleared) return cleared.error();
  }
  return opened;
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> PartFile::append(std::uint64_t offset, std::string_view bytes) {
  if (offset != have_) return Error{Errc::bad_input, part_of(file_).string() + ": a gap"};
  while (!bytes.empty()) {
    const ::ssize_t put =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<::off_t>(have_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failure(part_of(file_), errno);
    have_ += static_cast<std::uint64_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  if (have_ - synced_ < kSyncBytes) return {};
  if (::fsync(descriptor_) != 0) return failure(part_of(file_), errno);
  synced_ = have_;
  return {};
}

Result<void> PartFile::clear() {
  if (::ftruncate(descriptor_, 0) != 0) return failure(part_of(file_), errno);
  have_ = synced_ = 0;
  return {};
}

Result<void> PartFile::finish(std::string_view sha256) {
  const auto part = part_of(file_);
  const auto found = digest_of(descriptor_, part);
  if (!found) return found.error();
  if (*found != sha256) {
    return Error{Errc::corrupt,
                 part.string() + ": its SHA-256 is " + *found + ", not " + std::string(sha256)};
  }
  if (::fsync(descriptor_) != 0) return failure(part, errno);
  if (::rename(part.c_str(), file_.c_str()) != 0) return failure(file_, errno);
  return sync_folder(file_);
}

bool is_whole(const std::filesystem::path& file, std::uint64_t length, std::string_view sha256) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct ::stat found {};
  bool good =
      ::fstat(descriptor, &found) == 0 && static_cast<std::uint64_t>(found.st_size) == length;
  if (good) {
    const auto digest = digest_of(descriptor, file);
    good = digest && *digest == sha256;
  }
  ::close(descriptor);
  return good;
}

}  // namespace lapwing::agent
