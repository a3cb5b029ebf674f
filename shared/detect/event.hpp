// SPDX-License-Identifier: Apache-2.0
/// What a pipeline reports: fixed-size events without strings, made into records by the caller.
#pragma once

#include "shared/base/time.hpp"
#include "shared/detect/detector.hpp"
#include "shared/detect/watch.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lapwing::detect {

/// One step in the life of one anomaly of one stream. Plain data, copied freely.
struct Event {
  std::uint64_t id = 0;
  wire::Phase phase = wire::Phase::opened;
  wire::Severity severity = wire::Severity::minor;
  wire::Reason reason = wire::Reason::unusual;
  Cause cause = Cause::none;  ///< for Reason::unusual
  Time onset{};
  Time peak_time{};
  Time end{};  ///< last anomalous instant; set when closed
  double peak_score = 0;
  double peak_value = wire::kUnknown;
  Band band;          ///< at the peak
  double detail = 0;  ///< by reason: limit passed, seconds stuck or missing, units per second
};

/// A few words a technician understands: `4.31 is above the expected 1.9 to 2.6`.
[[nodiscard]] std::string describe(const Event& event);

/// The record of an event. The strings are the stream's; tags are copied.
[[nodiscard]] wire::AnomalyRecord to_record(const Event& event, const WatchConfig& watch,
                                            std::string_view stream,
                                            std::span<const wire::Tag> tags);

}  // namespace lapwing::detect
