// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/snapshot.hpp"

#include <algorithm>
#include <string>

namespace lapwing::detect {
namespace {

constexpr std::uint32_t kMagic = 0x3153574C;  // "LWS1"
constexpr std::size_t kHeaderBytes = 20;      // magic 4, tag 8, length 4, crc 4

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

void store32(std::byte* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes) noexcept {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::byte b : bytes) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<std::uint32_t>(b)) & 0xFF];
  }
  return ~crc;
}

std::uint64_t frame_tag(std::string_view kind, std::uint32_t version,
                        std::uint64_t shape) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  const auto mix = [&hash](std::uint64_t byte) { hash = (hash ^ byte) * 0x100000001B3ULL; };
  for (const char c : kind) mix(static_cast<unsigned char>(c));
  for (int i = 0; i < 4; ++i) mix((version >> (8 * i)) & 0xFF);
  for (int i = 0; i < 8; ++i) mix((shape >> (8 * i)) & 0xFF);
  return hash;
}

std::size_t begin_frame(std::vector<std::byte>& out, std::uint64_t tag) {
  const std::size_t begun = out.size();
  StateWriter writer(out);
  writer(kMagic, tag, std::uint32_t{0}, std::uint32_t{0});
  return begun;
}

void end_frame(std::vector<std::byte>& out, std::size_t begun) {
  const std::size_t content = out.size() - begun - kHeaderBytes;
  store32(out.data() + begun + 12, static_cast<std::uint32_t>(content));
  // The checksum covers tag, length and content; its own field counts as zero.
  store32(out.data() + begun + 16, crc32(std::span(out).subspan(begun)));
}

Result<std::span<const std::byte>> open_frame(std::span<const std::byte>& bytes,
                                              std::uint64_t tag) {
  const auto corrupt = [](const char* why) {
    return Error{Errc::corrupt, std::string("detector snapshot ") + why};
  };
  if (bytes.size() < kHeaderBytes) return corrupt("is too short");
  std::uint32_t magic = 0;
  std::uint64_t found_tag = 0;
  std::uint32_t length = 0;
  std::uint32_t found_crc = 0;
  StateReader header(bytes);
  header(magic, found_tag, length, found_crc);
  if (magic != kMagic) return corrupt("does not start as one");
  if (bytes.size() - kHeaderBytes < length) return corrupt("is cut short");
  // CRC over the frame with its own field zero, without copying the frame.
  std::array<std::byte, kHeaderBytes> head{};
  std::copy_n(bytes.begin(), kHeaderBytes - 4, head.begin());
  const auto content = bytes.subspan(kHeaderBytes, length);
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const auto part : {std::span<const std::byte>(head), content}) {
    for (const std::byte b : part) {
      crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<std::uint32_t>(b)) & 0xFF];
    }
  }
  if (~crc != found_crc) return corrupt("fails its checksum");
  if (found_tag != tag) {
    return Error{Errc::unsupported,
                 "detector snapshot is of another version, kind or setting: warming up anew"};
  }
  bytes = bytes.subspan(kHeaderBytes + length);
  return content;
}

}  // namespace lapwing::detect
