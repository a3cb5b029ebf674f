// SPDX-License-Identifier: Apache-2.0
/// Time: wall-clock instants are microseconds since 1970 UTC; deadlines use the monotonic clock.
/// Functions that decide take the time as an argument; only the outermost shell reads a clock.
#pragma once

#include "shared/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapwing {

using Micros = std::chrono::microseconds;
/// An instant of the wall clock (event times, record times).
using Time = std::chrono::time_point<std::chrono::system_clock, Micros>;
/// An instant of the monotonic clock (timeouts, back-off, rates).
using Ticks = std::chrono::time_point<std::chrono::steady_clock, Micros>;

[[nodiscard]] Time now();
[[nodiscard]] Ticks ticks_now();

[[nodiscard]] constexpr std::int64_t to_micros(Time t) { return t.time_since_epoch().count(); }
[[nodiscard]] constexpr Time from_micros(std::int64_t us) { return Time(Micros(us)); }

/// RFC 3339 in UTC with microseconds: `2026-11-24T08:43:46.000000Z`.
[[nodiscard]] std::string to_rfc3339(Time t);
/// Reads RFC 3339 (any offset, `T` or space, up to nanoseconds, which are cut); also what sensors
/// send instead: without an offset it is UTC, a date alone is its midnight. Errors: bad_input.
[[nodiscard]] Result<Time> from_rfc3339(std::string_view text);

}  // namespace lapwing
