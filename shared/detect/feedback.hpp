// SPDX-License-Identifier: Apache-2.0
/// What a person says of an anomaly, and what it counts for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lapwing::detect {

/// Said of the newest anomaly of a stream or group. Said again, the last word counts.
enum class Feedback : std::uint8_t {
  real_fault,   ///< true: nothing is taken from the budget of false alarms
  false_alarm,  ///< a nuisance: it counts twice, so that the threshold rises
  new_normal,   ///< true, and what is seen now is normal from here on
};

inline constexpr std::array<std::string_view, 3> kFeedbackWords = {"real", "false", "normal"};

/// `real`, `false` or `normal`; nullopt for anything else.
[[nodiscard]] constexpr std::optional<Feedback> feedback_from(std::string_view word) noexcept {
  for (std::size_t i = 0; i < kFeedbackWords.size(); ++i) {
    if (kFeedbackWords[i] == word) return static_cast<Feedback>(i);
  }
  return std::nullopt;
}

/// As how many false alarms the anomaly counts from now on; 1 where nobody says anything.
[[nodiscard]] constexpr std::int8_t alarms_counted(Feedback feedback) noexcept {
  return feedback == Feedback::false_alarm ? 2 : 0;
}

}  // namespace lapwing::detect
