// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/ballast.hpp"

#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace lapwing::agent {

Ballast::Ballast(const std::filesystem::path& folder, std::uint64_t bytes)
    : path_(folder / "outbox.ballast"), bytes_(bytes) {
  std::error_code absent;
  held_ = bytes_ > 0 && std::filesystem::file_size(path_, absent) == bytes_ && !absent;
  if (!held_) std::filesystem::remove(path_, absent);
}

bool Ballast::take() {
  if (held_ || bytes_ == 0) return held_;
  std::error_code failed;
  const auto space = std::filesystem::space(path_.parent_path(), failed);
  if (failed || space.available < 2 * bytes_) return false;
  const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  held_ = ::posix_fallocate(file, 0, static_cast<off_t>(bytes_)) == 0;
  ::close(file);
  if (!held_) std::filesystem::remove(path_, failed);
  return held_;
}

bool Ballast::release() {
  if (!held_) return false;
  held_ = false;
  std::error_code failed;
  return std::filesystem::remove(path_, failed);
}

}  // namespace lapwing::agent
