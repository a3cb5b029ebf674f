// SPDX-License-Identifier: Apache-2.0
/// Event times out of payloads, and which of them are believed.
#pragma once

#include "shared/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace lapwing::agent {

/// `automatic`: text is RFC 3339, a number's size tells its unit (the plausible ranges of the four
/// units do not overlap: below 1e11 s, below 1e14 ms, below 1e17 us, else ns).
enum class TimeUnit : std::uint8_t { automatic, s, ms, us, ns, rfc3339 };

/// Reads times; nullopt means not a time of this unit, or not a plausible one.
///
/// The rule: a time before 2000-01-01 or more than one day after the receive time is not plausible
/// and its reading is quarantined with reason `time`. While the machine's own clock is before 2025
/// (no clock battery, no network time yet) times up to one day after 2025-01-01 are taken too.
/// RFC 3339 without an offset is read as UTC.
/// Threads: distinct and shared objects are safe (no state changes).
class TimeRule {
 public:
  explicit TimeRule(TimeUnit unit = TimeUnit::automatic) : unit_(unit) {}

  [[nodiscard]] std::optional<Time> from_integer(std::int64_t value, Time received) const noexcept;
  [[nodiscard]] std::optional<Time> from_number(double value, Time received) const noexcept;
  [[nodiscard]] std::optional<Time> from_text(std::string_view text, Time received) const;

 private:
  TimeUnit unit_;
};

}  // namespace lapwing::agent
