// SPDX-License-Identifier: Apache-2.0
#include "shared/base/time.hpp"

#include <cctype>
#include <cstdio>

namespace lapwing {
namespace {

/// Reads exactly `digits` decimal digits at `text[at]`, moving `at`; -1 when they are not there.
int read_digits(std::string_view text, std::size_t& at, std::size_t digits) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i, ++at) {
    const char c = text[at];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool take(std::string_view text, std::size_t& at, std::string_view one_of) {
  if (at >= text.size() || one_of.find(text[at]) == std::string_view::npos) return false;
  ++at;
  return true;
}

}  // namespace

Time now() { return std::chrono::time_point_cast<Micros>(std::chrono::system_clock::now()); }
Ticks ticks_now() { return std::chrono::time_point_cast<Micros>(std::chrono::steady_clock::now()); }

std::string to_rfc3339(Time t) {
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(t - day);
  char buffer[64];
  const int length = std::snprintf(
      buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {buffer, static_cast<std::size_t>(length)};
}

Result<Time> from_rfc3339(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return Error{Errc::bad_input, "time \"" + std::string(text.substr(0, 40)) + "\": " +
                                      std::string(what) + "; expected 2026-11-24T08:43:46Z"};
  };
  std::size_t at = 0;
  const int year = read_digits(text, at, 4);
  const bool dash1 = take(text, at, "-");
  const int month = read_digits(text, at, 2);
  const bool dash2 = take(text, at, "-");
  const int day = read_digits(text, at, 2);
  if (year < 0 || month < 0 || day < 0 || !dash1 || !dash2) return bad("no date");
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return bad("no such day");
  Time t{std::chrono::sys_days(date)};
  if (at == text.size()) return t;
  if (!take(text, at, "Tt ")) return bad("no time after the date");
  const int hour = read_digits(text, at, 2);
  const bool colon = take(text, at, ":");
  const int minute = read_digits(text, at, 2);
  if (hour < 0 || minute < 0 || !colon || hour > 23 || minute > 59)
    return bad("no hour and minute");
  int second = 0;
  if (take(text, at, ":")) {
    second = read_digits(text, at, 2);
    if (second < 0 || second > 60) return bad("no second");
  }
  std::int64_t micros = 0;
  if (take(text, at, ".,")) {
    std::int64_t unit = 100000;
    const std::size_t first = at;
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
      micros += (text[at] - '0') * unit;
      unit /= 10;
    }
    if (at == first) return bad("no digits after the point");
  }
  std::chrono::minutes offset{0};
  if (!take(text, at, "Zz") && at < text.size()) {
    const bool minus = text[at] == '-';
    if (!take(text, at, "+-")) return bad("no such offset");
    const int offset_hour = read_digits(text, at, 2);
    static_cast<void>(take(text, at, ":"));
    const int offset_minute = read_digits(text, at, 2);
    if (offset_hour < 0 || offset_minute < 0 || offset_hour > 23 || offset_minute > 59) {
      return bad("no such offset");
    }
    offset = std::chrono::hours(offset_hour) + std::chrono::minutes(offset_minute);
    if (minus) offset = -offset;
  }
  if (at != text.size()) return bad("text after the time");
  return t + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + Micros(micros) - offset;
}

}  // namespace lapwing
