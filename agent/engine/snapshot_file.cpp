// SPDX-License-Identifier: Apache-2.0
#include "agent/engine/snapshot_file.hpp"

#include <boost/crc.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace lapwing::agent {
namespace {

constexpr std::string_view kMagic = "LWSNAP02";
constexpr std::uint32_t kEntryBytesMax = 64U << 20U;
constexpr auto kOfLast = static_cast<unsigned char>(SnapshotOf::sensor);

void put_number(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

std::uint32_t checksum(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

/// Cuts a length-prefixed text off the front; false when it is not there.
bool take_text(std::string_view& bytes, std::string_view& text) {
  if (bytes.size() < 4) return false;
  const std::uint32_t size = number_at(bytes, 0);
  if (bytes.size() - 4 < size) return false;
  text = bytes.substr(4, size);
  bytes.remove_prefix(4 + size);
  return true;
}

bool parse_entry(std::string_view bytes, SnapshotEntry& entry) {
  std::string_view text;
  if (bytes.empty() || static_cast<unsigned char>(bytes[0]) > kOfLast) return false;
  entry.of = static_cast<SnapshotOf>(bytes[0]);
  bytes.remove_prefix(1);
  if (!take_text(bytes, text)) return false;
  entry.name = text;
  if (bytes.size() < 4) return false;
  const std::uint32_t tags = number_at(bytes, 0);
  bytes.remove_prefix(4);
  entry.tags.clear();
  for (std::uint32_t i = 0; i < tags; ++i) {
    std::string_view key;
    if (!take_text(bytes, key) || !take_text(bytes, text)) return false;
    entry.tags.push_back({std::string(key), std::string(text)});
  }
  if (!take_text(bytes, text)) return false;
  const auto* state = reinterpret_cast<const std::byte*>(text.data());
  entry.state.assign(state, state + text.size());
  return bytes.empty();
}

Error failure(const std::filesystem::path& path, const char* doing) {
  return {errno == ENOSPC ? Errc::limit : Errc::io,
          path.string() + ": cannot " + doing + ": " + std::strerror(errno)};
}

}  // namespace

Result<SnapshotWriter> SnapshotWriter::begin(const std::filesystem::path& path) {
  SnapshotWriter writer(path.string() + ".new");
  writer.out_.open(writer.path_, std::ios::binary | std::ios::trunc);
  if (!writer.out_) return failure(writer.path_, "create");
  writer.out_ << kMagic;
  return writer;
}

void SnapshotWriter::add(SnapshotOf of, std::string_view name, std::span<const wire::Tag> tags,
                         std::span<const std::byte> state) {
  buffer_.assign(1, static_cast<char>(of));
  put_text(buffer_, name);
  put_number(buffer_, static_cast<std::uint32_t>(tags.size()));
  for (const auto& tag : tags) {
    put_text(buffer_, tag.key);
    put_text(buffer_, tag.value);
  }
  put_text(buffer_, {reinterpret_cast<const char*>(state.data()), state.size()});
  std::string head;
  put_number(head, static_cast<std::uint32_t>(buffer_.size()));
  put_number(head, checksum(buffer_));
  out_ << head << buffer_;
}

Result<void> SnapshotWriter::finish() {
  out_.close();
  if (out_.fail()) return failure(path_, "write");
  return {};
}

Result<void> SnapshotWriter::publish(const std::filesystem::path& path) {
  const std::string fresh = path.string() + ".new";
  const int file = ::open(fresh.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failure(fresh, "open");
  const bool synced = ::fsync(file) == 0;
  ::close(file);
  if (!synced) return failure(fresh, "sync");
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure(path, "replace");
  return {};
}

Result<void> read_snapshot(const std::filesystem::path& path,
                           const std::function<void(SnapshotEntry&)>& take) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Error{errno == ENOENT ? Errc::not_found : Errc::io,
                 path.string() + ": cannot be opened"};
  }
  std::string magic(kMagic.size(), '\0');
  in.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  if (magic.substr(0, 6) != kMagic.substr(0, 6))
    return Error{Errc::corrupt, path.string() + ": not a snapshot"};
  if (magic != kMagic)
    return Error{Errc::unsupported, path.string() + ": a snapshot of another version"};
  std::string bytes;
  SnapshotEntry entry;
  for (std::size_t index = 0;; ++index) {
    char head[8];
    in.read(head, sizeof head);
    if (in.gcount() == 0) return {};
    const std::uint32_t size = in.gcount() == 8 ? number_at({head, 8}, 0) : kEntryBytesMax + 1;
    bytes.resize(std::min(size, kEntryBytesMax));
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (size > kEntryBytesMax || static_cast<std::size_t>(in.gcount()) != size ||
        checksum(bytes) != number_at({head, 8}, 4) || !parse_entry(bytes, entry)) {
      return Error{Errc::corrupt,
                   path.string() + ": entry " + std::to_string(index) + " is damaged"};
    }
    take(entry);
  }
}

}  // namespace lapwing::agent
