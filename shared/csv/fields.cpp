// SPDX-License-Identifier: Apache-2.0
#include "shared/csv/fields.hpp"

#include <charconv>
#include <cmath>
#include <string>

namespace lapwing::csv {

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::optional<double> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return value;
}

Result<Time> parse_time(std::string_view text) {
  text = trimmed(text);
  const auto refuse = [&] {
    return Error{Errc::bad_input, "\"" + std::string(text.substr(0, 40)) + "\" is not a time"};
  };
  if (const auto number = parse_number(text)) {
    const double size = std::abs(*number);
    if (!(size < 9e18)) return refuse();
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    const bool integer = error == std::errc{} && end == text.data() + text.size();
    if (size < 1e11) return from_micros(std::llround(*number * 1e6));  // seconds
    if (size < 1e14) return from_micros(std::llround(*number * 1e3));
    if (size < 1e17) return from_micros(integer ? whole : std::llround(*number));
    return from_micros(integer ? whole / 1000 : std::llround(*number / 1e3));
  }
  if (text.size() > 64 || text.size() < 10) return refuse();
  auto time = from_rfc3339(text);
  if (!time) time = from_rfc3339(std::string(text) + "Z");  // without an offset: UTC
  if (!time && text.size() == 10) time = from_rfc3339(std::string(text) + "T00:00:00Z");
  if (!time && text.size() == 16) time = from_rfc3339(std::string(text) + ":00Z");
  if (!time) return refuse();
  return *time;
}

}  // namespace lapwing::csv
