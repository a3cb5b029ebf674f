// SPDX-License-Identifier: Apache-2.0
#include "shared/model/seal.hpp"

#include "shared/trust/token.hpp"

#include <algorithm>

namespace lapwing::model {
namespace {

constexpr std::string_view kMagic = "LWMODEL1";
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kDigestAt = 16;
constexpr std::size_t kDigestBytes = 32;

}  // namespace

std::string sealed(std::string_view body) {
  std::string file(kMagic);
  for (unsigned shift = 0; shift < 64; shift += 8) {
    file += static_cast<char>((std::uint64_t{body.size()} >> shift) & 0xFFU);
  }
  file += trust::sha256(body);
  file.resize(kSealBytes, '\0');
  return file.append(body);
}

Result<std::string_view> unsealed(std::string_view file) {
  if (!file.starts_with(kMagic)) {
    return Error{Errc::bad_input, "no model file: it does not begin with " + std::string(kMagic)};
  }
  if (file.size() > kFileBytesMax) {
    return Error{Errc::limit,
                 "longer than " + std::to_string(kFileBytesMax >> 20U) + " MiB, as no model is"};
  }
  if (file.size() < kSealBytes) return Error{Errc::corrupt, "cut short within its first bytes"};
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= std::uint64_t{static_cast<unsigned char>(file[kLengthAt + i])} << (8 * i);
  }
  const auto body = file.substr(kSealBytes);
  if (length != body.size()) {
    return Error{Errc::corrupt, "holds " + std::to_string(body.size()) + " bytes where it says " +
                                    std::to_string(length) + ": fetch it again"};
  }
  const auto rest = file.substr(kDigestAt + kDigestBytes, kSealBytes - kDigestAt - kDigestBytes);
  const bool zero = std::ranges::all_of(rest, [](char byte) { return byte == '\0'; });
  if (!zero || file.substr(kDigestAt, kDigestBytes) != trust::sha256(body)) {
    return Error{Errc::corrupt, "its bytes are not those it was made of: fetch it again"};
  }
  return body;
}

}  // namespace lapwing::model
