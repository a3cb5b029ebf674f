// SPDX-License-Identifier: Apache-2.0
#include "agent/decode/time_rule.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace lapwing::agent {
namespace {

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;
constexpr Time kEarliest = from_micros(946'684'800'000'000);           // 2000-01-01
constexpr Time kClockIsSetAfter = from_micros(1'735'689'600'000'000);  // 2025-01-01

std::optional<Time> plausible(std::int64_t micros, Time received) noexcept {
  const Time time = from_micros(micros);
  const Time latest = std::max(received, kClockIsSetAfter) + Micros(kMicrosPerDay);
  if (time < kEarliest || time > latest) return std::nullopt;
  return time;
}

TimeUnit unit_of(double magnitude) noexcept {
  if (magnitude < 1e11) return TimeUnit::s;
  if (magnitude < 1e14) return TimeUnit::ms;
  if (magnitude < 1e17) return TimeUnit::us;
  return TimeUnit::ns;
}

}  // namespace

std::optional<Time> TimeRule::from_integer(std::int64_t value, Time received) const noexcept {
  if (value <= 0 || unit_ == TimeUnit::rfc3339) return std::nullopt;
  const TimeUnit unit = unit_ == TimeUnit::automatic ? unit_of(static_cast<double>(value)) : unit_;
  // Year 2262 and later overflow: far beyond what is plausible, so cut before multiplying.
  constexpr std::int64_t kSecondsMax = 9'000'000'000;
  switch (unit) {
    case TimeUnit::s:
      if (value > kSecondsMax) return std::nullopt;
      return plausible(value * 1'000'000, received);
    case TimeUnit::ms:
      if (value > kSecondsMax * 1'000) return std::nullopt;
      return plausible(value * 1'000, received);
    case TimeUnit::us:
      if (value > kSecondsMax * 1'000'000) return std::nullopt;
      return plausible(value, received);
    default:
      return plausible(value / 1'000, received);
  }
}

std::optional<Time> TimeRule::from_number(double value, Time received) const noexcept {
  if (!std::isfinite(value) || value <= 0 || unit_ == TimeUnit::rfc3339) return std::nullopt;
  const TimeUnit unit = unit_ == TimeUnit::automatic ? unit_of(value) : unit_;
  double micros = value;
  if (unit == TimeUnit::s) micros = value * 1e6;
  if (unit == TimeUnit::ms) micros = value * 1e3;
  if (unit == TimeUnit::ns) micros = value / 1e3;
  if (micros > 9e15) return std::nullopt;
  return plausible(std::llround(micros), received);
}

std::optional<Time> TimeRule::from_text(std::string_view text, Time received) const {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.empty()) return std::nullopt;
  if (unit_ != TimeUnit::rfc3339) {
    const char* end = text.data() + text.size();
    std::int64_t whole = 0;
    if (auto [p, ec] = std::from_chars(text.data(), end, whole); ec == std::errc() && p == end) {
      return from_integer(whole, received);
    }
    double number = 0;
    if (auto [p, ec] = std::from_chars(text.data(), end, number); ec == std::errc() && p == end) {
      return from_number(number, received);
    }
    if (unit_ != TimeUnit::automatic) return std::nullopt;
  }
  const auto time = from_rfc3339(text);
  if (!time) return std::nullopt;
  return plausible(to_micros(*time), received);
}

}  // namespace lapwing::agent
