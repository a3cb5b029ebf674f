// SPDX-License-Identifier: Apache-2.0
/// The words in the lines, in the order of what they stand for.
#pragma once

#include <array>
#include <string_view>

namespace lapwing::hub::line_words {

inline constexpr std::array<std::string_view, 3> kStatus{"offline", "online", "quarantined"};
inline constexpr std::array<std::string_view, 3> kPhases{"opened", "updated", "closed"};
inline constexpr std::array<std::string_view, 3> kSeverities{"minor", "major", "critical"};
inline constexpr std::array<std::string_view, 7> kReasons{"unusual", "out_of_range", "stuck", "gap",
                                                          "rate",    "not_a_number", "clock"};

}  // namespace lapwing::hub::line_words
