// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/report.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace lapwing::agent {

namespace {

std::string_view word(wire::Severity severity) {
  constexpr std::array<std::string_view, 4> kWords = {"-", "minor", "major", "critical"};
  return kWords[static_cast<std::size_t>(severity)];
}

std::string_view word(wire::Reason reason) {
  constexpr std::array<std::string_view, 8> kWords = {"-",   "unusual", "out of range", "stuck",
                                                      "gap", "rate",    "not a number", "clock"};
  return kWords[static_cast<std::size_t>(reason)];
}

constexpr std::size_t kSensorsNamed = 40;

using TableRow = std::array<std::string, 8>;

/// Of a group: whose it is; of a stream: what was expected.
std::string where(const Anomaly& anomaly, const ReplayReport& report) {
  if (!report.sensors.empty()) return anomaly.sensor ? report.sensors[*anomaly.sensor] : "all";
  const detect::Band& band = anomaly.event.band;
  if (!std::isfinite(band.lower)) return "-";
  return short_number(band.lower) + " .. " + short_number(band.upper);
}

TableRow row_of(std::size_t place, const Anomaly& anomaly, const ReplayReport& report) {
  const detect::Event& event = anomaly.event;
  return {std::to_string(place),           short_time(event.onset),
          short_time(event.end),           std::string(word(event.severity)),
          short_number(event.peak_score),  where(anomaly, report),
          std::string(word(event.reason)), anomaly.text};
}

/// In characters: names may be UTF-8.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// `3 sensors: a, b, c`
std::string named(const std::vector<std::string>& sensors) {
  std::string out = std::to_string(sensors.size()) + " sensors: ";
  for (std::size_t i = 0; i < sensors.size(); ++i) {
    if (i == kSensorsNamed) return out + ", ...";
    out += (i == 0 ? "" : ", ") + sensors[i];
  }
  return out;
}

}  // namespace

std::string to_text(const ReplayReport& report) {
  std::string out;
  const bool group = !report.sensors.empty();
  std::vector<TableRow> rows = {
      {"#", "onset", "end", "severity", "score", group ? "sensor" : "expected", "reason", "what"}};
  for (const Anomaly& one : report.anomalies) rows.push_back(row_of(rows.size(), one, report));
  std::array<std::size_t, 8> widths{};
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const TableRow& row : rows) {
    if (rows.size() == 1) break;
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - width(row[i]) + 2, ' ');
    }
    out += '\n';
  }
  if (rows.size() > 1) out += '\n';
  const double weeks = std::chrono::duration<double>(report.last - report.first).count() / 604'800;
  const std::string readings = group ? " rows" : " readings";
  if (group) out += named(report.sensors) + "\n";
  out += std::to_string(report.readings) + readings + " from " + short_time(report.first) + " to " +
         short_time(report.last) + ", " + std::to_string(report.anomalies.size()) + " anomalies";
  if (weeks > 0.1)
    out += " (" + short_number(static_cast<double>(report.anomalies.size()) / weeks) + " a week)";
  out += ", in " + short_number(report.seconds) + " s\n";
  if (report.times_made_up)
    out += "no timestamp column:" + readings + " at a fixed interval were assumed\n";
  if (!report.warm) out += "the warm-up was not completed: nothing was scored; lower `warmup`\n";
  if (report.dropped > 0) {
    out += std::to_string(report.dropped) + readings +
           " were repeated or out of order, and left out\n";
  }
  if (report.rows_bad > 0) {
    out += std::to_string(report.rows_bad) + " rows could not be read" +
           (group ? " in full:\n" : ":\n");
    for (const BadRow& bad : report.bad) {
      out += "  line " + std::to_string(bad.line) + ": " + bad.what + "\n";
    }
    if (report.rows_bad > report.bad.size()) out += "  ...\n";
  }
  return out;
}

std::string to_text(const Judgement& judgement) {
  const Judgement& j = judgement;
  std::string out =
      std::to_string(j.anomalies) + " anomalies, " + std::to_string(j.windows) + " labelled events";
  if (j.windows_early > 0) {
    out += " (and " + std::to_string(j.windows_early) + " before the first score)";
  }
  out += "\nprecision " + short_number(j.precision()) + ", recall " + short_number(j.recall()) +
         ", false alarms a week " + short_number(j.false_alarms_per_week());
  if (!j.delays.empty()) {
    out += "\ndelay: median " + short_span(j.median_delay()) + ", longest " +
           short_span(*std::ranges::max_element(j.delays));
  }
  return out + "\n";
}

std::string short_span(double seconds) {
  if (seconds < 120) return short_number(seconds) + " s";
  if (seconds < 7200) return short_number(seconds / 60) + " min";
  if (seconds < 172'800) return short_number(seconds / 3600) + " h";
  return short_number(seconds / 86'400) + " days";
}

}  // namespace lapwing::agent
