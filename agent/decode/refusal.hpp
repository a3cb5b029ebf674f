// SPDX-License-Identifier: Apache-2.0
/// Why a payload, or a part of one, was not turned into readings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lapwing::agent {

/// The label `reason` of lapwing_quarantine_total; one word each, never renamed.
enum class Refusal : std::uint8_t {
  empty,      ///< no bytes, or only spaces
  too_large,  ///< more bytes than the source's payload_bytes_max
  syntax,     ///< not what the format says
  utf8,       ///< text that is not valid UTF-8
  depth,      ///< nested deeper than depth_max
  fields,     ///< more numbers than fields_max
  no_number,  ///< readable, but none of the wanted numbers is in it
  time,       ///< no time where one was promised, or one before 2000 or over a day ahead
  name,       ///< the stream's name would not be valid
  topic,      ///< the topic does not fit the template
  streams,    ///< the engine has its maximum number of streams
};
inline constexpr std::size_t kRefusals = 11;

[[nodiscard]] constexpr std::string_view to_string(Refusal refusal) noexcept {
  constexpr std::array<std::string_view, kRefusals> kNames{
      "empty",     "too_large", "syntax", "utf8",  "depth",  "fields",
      "no_number", "time",      "name",   "topic", "streams"};
  return kNames[static_cast<std::size_t>(refusal)];
}

}  // namespace lapwing::agent
