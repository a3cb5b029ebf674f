// SPDX-License-Identifier: Apache-2.0
/// Keyset cursors as URL-safe text. Every engine uses the same ones, so a list survives a
/// migration.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::hub {

/// The parts of the last row's key, each in hexadecimal, joined by '-'.
[[nodiscard]] std::string make_cursor(std::initializer_list<std::string_view> parts);
/// The parts again. bad_input: not a cursor, or not of so many parts.
[[nodiscard]] Result<std::vector<std::string>> read_cursor(std::string_view cursor,
                                                           std::size_t parts);
/// A part that is a whole number. bad_input.
[[nodiscard]] Result<std::int64_t> cursor_number(std::string_view part);

}  // namespace lapwing::hub
