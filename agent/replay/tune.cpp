// SPDX-License-Identifier: Apache-2.0
#include "agent/replay/tune.hpp"

#include "agent/replay/report.hpp"
#include "shared/base/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace lapwing::agent {
namespace {

constexpr std::uint32_t kWarmupMin = 60;
constexpr std::uint32_t kWarmupMax = 100'000;
constexpr double kWarmupShare = 0.15;  // of a short file: the rest is to be scored
constexpr double kSeasonReadings = 8;  // fewer a season show no course
constexpr Micros kSeasonMax = std::chrono::hours(24 * 8);

double seconds_of(Micros span) { return std::chrono::duration<double>(span).count(); }

/// Which detector, and why.
void choose_detector(Tuning& tuning) {
  const StreamFacts& f = tuning.facts;
  if (f.daily || f.weekly) {
    tuning.watch.detector = "seasonal";
    tuning.reason = std::string("the stream repeats itself ") +
                    (f.daily && f.weekly ? "every day and every week"
                     : f.daily           ? "every day"
                                         : "every week") +
                    ", by the clock";
  } else if (f.fine_period) {
    tuning.watch.detector = "matrix_profile";
    tuning.reason =
        "a shape repeats every " + short_span(seconds_of(*f.period)) + ", not by the day's clock";
  } else {
    tuning.reason = "nothing repeats clearly enough for a special one";
  }
}

std::uint32_t warmup_for(const StreamFacts& facts) {
  double rows = detect::WatchConfig{}.warmup;
  if (facts.period && facts.interval_seconds > 0) {
    rows = std::max(rows, 3 * seconds_of(*facts.period) / facts.interval_seconds);
  }
  rows = std::min(rows, kWarmupShare * static_cast<double>(facts.readings));
  return std::clamp(static_cast<std::uint32_t>(rows), kWarmupMin, kWarmupMax);
}

/// To two digits, upwards or downwards.
double rounded(double value, bool up) {
  if (value == 0) return 0;
  const double step = std::pow(10, std::floor(std::log10(std::abs(value))) - 1);
  return step * (up ? std::ceil(value / step) : std::floor(value / step));
}

Tuning propose(const Rows& rows, const detect::WatchConfig& given) {
  Tuning tuning;
  tuning.facts = facts_of(rows);
  tuning.watch = given;
  tuning.watch.alarms_per_week = Tuning::kBudgets[1];
  choose_detector(tuning);
  const StreamFacts& f = tuning.facts;
  tuning.watch.warmup = warmup_for(f);
  // The day is every detector's season; another one must be said.
  const bool clock = f.daily || f.weekly;
  const double least = std::max(1.0, kSeasonReadings * f.interval_seconds);
  if (f.period && !clock && *f.period <= kSeasonMax && seconds_of(*f.period) >= least) {
    tuning.watch.season = std::chrono::round<std::chrono::seconds>(*f.period);
  }
  if (f.high > f.low) {
    const double margin = (f.high - f.low) / 2;
    // What never goes below zero is taken to be unable to.
    tuning.min = f.low >= 0 && f.low < margin ? 0 : rounded(f.low - margin, false);
    tuning.max = rounded(f.high + margin, true);
  }
  return tuning;
}

std::string percent(double share) { return short_number(100 * share) + " %"; }

std::string plain(double value) {
  std::array<char, 40> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  (void)error;  // the longest number has 24 characters
  return std::string(text.data(), end);
}

std::string facts_text(const StreamFacts& f) {
  std::string out = std::to_string(f.readings) + " readings";
  if (f.interval_seconds > 0) {
    out += ", one every " + short_span(f.interval_seconds);
    if (f.irregular_share > 0.01) out += " (" + percent(f.irregular_share) + " not so)";
  }
  out += "\nmissing: " + percent(f.missing_share) +
         "\nlongest run of one value: " + std::to_string(f.stuck_longest) + " readings; " +
         percent(f.same_share) + " repeat the one before\nrange: " + short_number(f.low) + " to " +
         short_number(f.high) + "\nrepeats: ";
  std::string what;
  const auto add = [&](const std::string& text) { what += (what.empty() ? "" : ", ") + text; };
  if (f.daily) add("every day");
  if (f.weekly) add("every week");
  if (f.period) add("every " + short_span(seconds_of(*f.period)));
  return out + (what.empty() ? "nothing found" : what) + "\n";
}

}  // namespace

Result<Tuning> tune(const ReplayOptions& options) {
  const auto rows = read_rows(options);
  if (!rows) return rows.error();
  if (rows->width() != 1) {
    return Error{Errc::bad_config, "tune looks at one value column, not at " +
                                       std::to_string(rows->width()) + ": name one"};
  }
  Tuning tuning = propose(*rows, options.watch);
  for (std::size_t i = 0; i < Tuning::kBudgets.size(); ++i) {
    ReplayOptions one = options;
    one.watch = tuning.watch;
    one.watch.alarms_per_week = Tuning::kBudgets[i];
    if (i != 1) one.plot.clear();
    ReplayReport report;
    const auto scores = score_rows(*rows, one, report);
    if (!scores) return scores.error();
    tuning.alarms[i] = report.anomalies.size();
    tuning.warm = report.warm;
  }
  return tuning;
}

std::string to_text(const Tuning& tuning, std::string_view name) {
  const detect::WatchConfig& watch = tuning.watch;
  std::string out =
      facts_text(tuning.facts) + "\ndetector " + watch.detector + ": " + tuning.reason + "\n";
  if (tuning.warm) {
    for (std::size_t i = 0; i < Tuning::kBudgets.size(); ++i) {
      out += "at " + short_number(Tuning::kBudgets[i]) +
             " false alarms a week: " + std::to_string(tuning.alarms[i]) +
             " anomalies in this file\n";
    }
  } else {
    out += "the file is too short for the warm-up: nothing was scored\n";
  }
  out += "\n[[watch]]\nname = \"" + std::string(name) + "\"\nstreams = [\"#\"]  # which ones\n" +
         "detector = \"" + watch.detector +
         "\"\nalarms_per_week = " + plain(watch.alarms_per_week) +
         "  # the one knob for sensitivity\nwarmup = " + std::to_string(watch.warmup) + "\n";
  if (watch.season) out += "season = \"" + config::format_duration(*watch.season) + "\"\n";
  if (tuning.min && tuning.max) {
    out +=
        "# The range seen and half as much again; better is what the process cannot do.\n# min = " +
        plain(*tuning.min) + "\n# max = " + plain(*tuning.max) + "\n";
  }
  return out;
}

}  // namespace lapwing::agent
