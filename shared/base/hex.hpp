// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lapwing {

inline constexpr std::string_view kHexDigits = "0123456789abcdef";

/// Bytes as lower-case hexadecimal digits, two each.
[[nodiscard]] inline std::string hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kHexDigits[byte >> 4U];
    text += kHexDigits[byte & 15U];
  }
  return text;
}

/// The bytes again. Absent: not such digits, or an odd number of them.
[[nodiscard]] inline std::optional<std::string> bytes_from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = kHexDigits.find(text[i]);
    const auto low = kHexDigits.find(text[i + 1]);
    if (high == kHexDigits.npos || low == kHexDigits.npos) return std::nullopt;
    bytes += static_cast<char>(high << 4U | low);
  }
  return bytes;
}

/// Whether these are such digits only.
[[nodiscard]] inline bool is_hex(std::string_view text) {
  return text.find_first_not_of(kHexDigits) == text.npos;
}

}  // namespace lapwing
