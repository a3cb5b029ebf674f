// SPDX-License-Identifier: Apache-2.0
/// What a model file begins with: 64 bytes that any damage to the rest, or to themselves, breaks.
///
/// | bytes | |
/// | 0..7 | `LWMODEL1` |
/// | 8..15 | length of what follows the seal, little-endian |
/// | 16..47 | SHA-256 of what follows |
/// | 48..63 | zero |
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing::model {

inline constexpr std::size_t kSealBytes = 64;
inline constexpr std::uint64_t kFileBytesMax = 256ULL << 20;

/// The body behind its seal. `body` is not longer than kFileBytesMax - kSealBytes.
[[nodiscard]] std::string sealed(std::string_view body);

/// The body of a file, which stays borrowed. Errors: bad_input (no model file at all), limit (too
/// long), corrupt (cut short, longer than it says, or changed).
Result<std::string_view> unsealed(std::string_view file);

}  // namespace lapwing::model
