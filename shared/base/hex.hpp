// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// Whether these are such digits only.
[[nodiscard]] inline bool is_hex(std::string_view text) {
  return text.find_first_not_of(kHexDigits) == text.npos;
}

}  // namespace lapwing
