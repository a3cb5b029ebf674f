// SPDX-License-Identifier: Apache-2.0
#include "shared/detect/event.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace lapwing::detect {
namespace {

/// Four significant digits, as a person would write them.
std::string number(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string span_of(double seconds) {
  std::array<char, 40> text{};
  if (seconds < 120) {
    std::snprintf(text.data(), text.size(), "%.3g s", seconds);
  } else if (seconds < 7200) {
    std::snprintf(text.data(), text.size(), "%.0f min", seconds / 60);
  } else if (seconds < 172'800) {
    std::snprintf(text.data(), text.size(), "%.1f h", seconds / 3600);
  } else {
    std::snprintf(text.data(), text.size(), "%.1f days", seconds / 86'400);
  }
  return text.data();
}

std::string expected_range(const Band& band) {
  if (!std::isfinite(band.lower) || !std::isfinite(band.upper)) return {};
  return "the expected " + number(band.lower) + " to " + number(band.upper);
}

std::string describe_unusual(const Event& event) {
  const std::string value = number(event.peak_value);
  const std::string range = expected_range(event.band);
  const bool above = std::isfinite(event.band.upper) && event.peak_value > event.band.upper;
  const bool below = std::isfinite(event.band.lower) && event.peak_value < event.band.lower;
  std::string where = value;
  if (above) where += " is above " + range;
  if (below) where += " is below " + range;
  if (!above && !below && !range.empty()) where += " is within " + range;
  switch (event.cause) {
    case Cause::jump:
      return "jumped: " + where;
    case Cause::noisier:
      return "fluctuates more than usual; " + where;
    case Cause::calmer:
      return "fluctuates less than usual; " + where;
    case Cause::drift:
      return "has drifted away from its level; " + where;
    case Cause::pattern:
      return "breaks its usual pattern; " + where;
    case Cause::none:
    case Cause::high:
    case Cause::low:
      break;
  }
  return above || below ? where : "unlike its past; " + where;
}

}  // namespace

std::string describe(const Event& event) {
  switch (event.reason) {
    case wire::Reason::unusual:
      return describe_unusual(event);
    case wire::Reason::out_of_range:
      return number(event.peak_value) + " is beyond the limit of " + number(event.detail);
    case wire::Reason::stuck:
      return "the same value, " + number(event.peak_value) + ", for " + span_of(event.detail);
    case wire::Reason::gap:
      return "no reading for " + span_of(event.detail);
    case wire::Reason::rate:
      return "changed by " + number(event.detail) + " a second, to " + number(event.peak_value);
    case wire::Reason::not_a_number:
      return "readings that are not a number";
    case wire::Reason::clock:
      if (event.detail == 0) return "the sensor's clock stands still";
      return "the sensor's clock is " + span_of(std::abs(event.detail)) +
             (event.detail > 0 ? " ahead" : " behind");
  }
  return "unknown";
}

wire::AnomalyRecord to_record(const Event& event, const WatchConfig& watch, std::string_view stream,
                              std::span<const wire::Tag> tags) {
  wire::AnomalyRecord record;
  record.id = event.id;
  record.phase = event.phase;
  record.severity = event.severity;
  record.reason = event.reason;
  record.stream = stream;
  record.watch = watch.name;
  record.detector = watch.detector;
  record.onset = event.onset;
  record.peak_time = event.peak_time;
  if (event.phase == wire::Phase::closed) record.end = event.end;
  record.peak_score = event.peak_score;
  record.peak_value = event.peak_value;
  record.band = event.band;
  record.text = describe(event);
  record.tags.assign(tags.begin(), tags.end());
  return record;
}

}  // namespace lapwing::detect
