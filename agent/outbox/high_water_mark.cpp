// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/high_water_mark.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace lapwing::agent {
namespace {

// One sector: written whole or, at worst, detectably torn.
constexpr std::size_t kSlotBytes = HighWaterMarkFile::kWriteBytes;
constexpr std::size_t kIdBytes = 32;
constexpr std::array<char, 8> kMagic = {'L', 'W', 'H', 'W', 'M', '0', '0', '1'};
using Slot = std::array<char, kSlotBytes>;

/// Little-endian numbers one after another.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}
  void number(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) *at_++ = static_cast<char>(value >> (8 * i));
  }

 private:
  char* at_;
};

std::uint64_t number_at(const char* at) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(at[i]);
  return value;
}

std::uint32_t checksum(const Slot& slot) {
  boost::crc_32_type crc;
  crc.process_bytes(slot.data(), kSlotBytes - 8);
  return crc.checksum();
}

Error failure(const std::filesystem::path& path, const char* doing, int number) {
  const bool full = number == ENOSPC || number == EDQUOT;
  return {full               ? Errc::limit
          : number == EACCES ? Errc::denied
                             : Errc::io,
          path.string() + ": cannot " + doing + ": " + std::strerror(number) +
              (full ? "; free space on this volume" : "")};
}

std::vector<wire::RegionMark> regions_at(const char* at) {
  std::vector<wire::RegionMark> regions;
  const auto count = std::min<std::uint64_t>(number_at(at), wire::kRegionsMax);
  for (std::uint64_t i = 0; i < count; ++i) {
    const char* one = at + 8 + 16 * i;
    regions.push_back({static_cast<std::uint32_t>(number_at(one)), number_at(one + 8)});
  }
  return regions;
}

}  // namespace

void HighWaterMark::acknowledged(const wire::RegionMark& mark) {
  const auto known = std::ranges::find(regions, mark.region, &wire::RegionMark::region);
  if (known != regions.end()) {
    known->through = std::max(known->through, mark.through);
  } else if (regions.size() < wire::kRegionsMax) {
    regions.push_back(mark);
  }
}

Result<HighWaterMarkFile> HighWaterMarkFile::open(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return failure(path, "open", errno);
  HighWaterMarkFile opened(file, path);
  // Its name and both slots are there for good before the first write: a full disk later cannot
  // keep a mark from being written over an old one.
  if (::posix_fallocate(file, 0, 2 * static_cast<off_t>(kSlotBytes)) == ENOSPC) {
    return failure(path, "create", ENOSPC);
  }
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failure(parent, "open", errno);
  const bool synced = ::fsync(folder) == 0;
  const int number = errno;
  ::close(folder);
  if (!synced && number != EINVAL) return failure(parent, "sync", number);
  return opened;
}

Result<std::optional<HighWaterMark>> HighWaterMarkFile::look(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::optional<HighWaterMark>();
  if (file < 0) return failure(path, "open", errno);
  return HighWaterMarkFile(file, path).read();
}

HighWaterMarkFile::~HighWaterMarkFile() {
  if (file_ >= 0) ::close(file_);
}

HighWaterMarkFile::HighWaterMarkFile(HighWaterMarkFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      path_(std::move(other.path_)),
      generation_(other.generation_) {}

HighWaterMarkFile& HighWaterMarkFile::operator=(HighWaterMarkFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  std::swap(generation_, other.generation_);
  return *this;
}

Result<std::optional<HighWaterMark>> HighWaterMarkFile::read() {
  std::optional<HighWaterMark> newest;
  bool anything = false;
  for (int i = 0; i < 2; ++i) {
    Slot slot{};
    const auto got = ::pread(file_, slot.data(), kSlotBytes, i * static_cast<off_t>(kSlotBytes));
    if (got < 0) return failure(path_, "read", errno);
    if (got == 0) continue;
    anything = anything || slot != Slot{};
    if (got != static_cast<ssize_t>(kSlotBytes) ||
        !std::equal(kMagic.begin(), kMagic.end(), slot.begin()) ||
        number_at(slot.data() + kSlotBytes - 8) != checksum(slot)) {
      continue;
    }
    const char* numbers = slot.data() + kMagic.size() + kIdBytes;
    const std::uint64_t generation = number_at(numbers);
    if (newest && generation <= generation_) continue;
    generation_ = generation;
    newest = HighWaterMark{std::string(slot.data() + kMagic.size(), kIdBytes),
                           number_at(numbers + 8),
                           number_at(numbers + 16),
                           number_at(numbers + 24),
                           number_at(numbers + 32),
                           regions_at(numbers + 40)};
  }
  if (!newest && anything) {
    return Error{Errc::corrupt, path_.string() + ": the high-water mark cannot be read"};
  }
  return newest;
}

Result<void> HighWaterMarkFile::write(const HighWaterMark& mark) {
  Slot slot{};
  std::copy(kMagic.begin(), kMagic.end(), slot.begin());
  std::copy_n(mark.database_id.begin(), std::min(kIdBytes, mark.database_id.size()),
              slot.begin() + kMagic.size());
  Writer numbers(slot.data() + kMagic.size() + kIdBytes);
  numbers.number(generation_ + 1);
  numbers.number(mark.epoch);
  numbers.number(mark.acked_seq);
  numbers.number(mark.acked_hash);
  numbers.number(mark.next_seq);
  static_assert(kMagic.size() + kIdBytes + 48 + 16 * wire::kRegionsMax + 8 <= kSlotBytes);
  const std::size_t regions = std::min(mark.regions.size(), wire::kRegionsMax);
  numbers.number(regions);
  for (std::size_t i = 0; i < regions; ++i) {
    numbers.number(mark.regions[i].region);
    numbers.number(mark.regions[i].through);
  }
  Writer(slot.data() + kSlotBytes - 8).number(checksum(slot));
  const auto at = static_cast<off_t>(((generation_ + 1) % 2) * kSlotBytes);
  const auto written = ::pwrite(file_, slot.data(), kSlotBytes, at);
  if (written < 0) return failure(path_, "write", errno);
  if (written != static_cast<ssize_t>(kSlotBytes)) return failure(path_, "write", ENOSPC);
  if (::fdatasync(file_) != 0) return failure(path_, "sync", errno);
  ++generation_;
  return {};
}

}  // namespace lapwing::agent
