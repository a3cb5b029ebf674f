// SPDX-License-Identifier: Apache-2.0
#include "hub/store/cursor.hpp"

#include "shared/base/hex.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace lapwing::hub {
namespace {

Error not_a_cursor() {
  return {Errc::bad_input, "cursor is not one this list gave out; start again without a cursor"};
}

std::optional<unsigned> digit(char c) {
  const auto at = kHexDigits.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(at);
}

}  // namespace

std::string make_cursor(std::initializer_list<std::string_view> parts) {
  std::string cursor;
  for (const auto part : parts) {
    if (!cursor.empty()) cursor += '-';
    cursor += 'x';  // an empty part still has a place
    cursor += hex(part);
  }
  return cursor;
}

Result<std::vector<std::string>> read_cursor(std::string_view cursor, std::size_t parts) {
  std::vector<std::string> out;
  while (true) {
    const auto dash = cursor.find('-');
    auto part = cursor.substr(0, dash);
    if (part.empty() || part.front() != 'x' || part.size() % 2 == 0) return not_a_cursor();
    part.remove_prefix(1);
    std::string bytes;
    for (std::size_t i = 0; i < part.size(); i += 2) {
      const auto high = digit(part[i]);
      const auto low = digit(part[i + 1]);
      if (!high || !low) return not_a_cursor();
      bytes += static_cast<char>(*high << 4U | *low);
    }
    out.push_back(std::move(bytes));
    if (dash == std::string_view::npos) break;
    cursor.remove_prefix(dash + 1);
  }
  if (out.size() != parts) return not_a_cursor();
  return out;
}

Result<std::int64_t> cursor_number(std::string_view part) {
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), number);
  if (ec != std::errc{} || end != part.data() + part.size()) return not_a_cursor();
  return number;
}

}  // namespace lapwing::hub
