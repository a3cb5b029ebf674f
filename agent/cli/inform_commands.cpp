// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/config.hpp"
#include "shared/detect/kinds.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>

namespace lapwing::agent {
namespace {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

std::string_view word(wire::Severity severity) {
  switch (severity) {
    case wire::Severity::minor:
      return "minor";
    case wire::Severity::major:
      return "major";
    case wire::Severity::critical:
      return "critical";
  }
  return "minor";
}

nlohmann::json to_json(const detect::Event& event) {
  return {{"onset", to_rfc3339(event.onset)},
          {"peak_time", to_rfc3339(event.peak_time)},
          {"end", to_rfc3339(event.end)},
          {"severity", word(event.severity)},
          {"peak_score", number(event.peak_score)},
          {"peak_value", number(event.peak_value)},
          {"expected", number(event.band.expected)},
          {"lower", number(event.band.lower)},
          {"upper", number(event.band.upper)},
          {"text", detect::describe(event)}};
}

nlohmann::json to_json(const ReplayReport& report) {
  nlohmann::json anomalies = nlohmann::json::array();
  for (const auto& event : report.anomalies) anomalies.push_back(to_json(event));
  return {{"rows", report.rows},
          {"readings", report.readings},
          {"rows_bad", report.rows_bad},
          {"dropped", report.dropped},
          {"warm", report.warm},
          {"seconds", number(report.seconds)},
          {"anomalies", std::move(anomalies)}};
}

int report_problems(const LoadedConfig& loaded, std::ostream& err) {
  for (const auto& problem : loaded.problems) err << problem.text() << '\n';
  return kExitConfig;
}

}  // namespace

int run_check_config(const std::filesystem::path& config, std::ostream& out, std::ostream& err) {
  const auto loaded = load_config(config);
  if (!loaded.problems.empty()) {
    report_problems(loaded, err);
    err << "lapwing-agent: " << loaded.problems.size()
        << (loaded.problems.size() == 1 ? " problem" : " problems") << " in " << config.string()
        << "; every key is in `lapwing-agent check-config --reference`\n";
    return kExitConfig;
  }
  const AgentConfig& c = loaded.config;
  out << config.string() << " is fine: " << c.sources.size()
      << (c.sources.size() == 1 ? " source, " : " sources, ") << c.watches.size()
      << (c.watches.size() == 1 ? " watch" : " watches") << ", data in " << c.data_dir.string()
      << '\n';
  return 0;
}

int run_replay(const ReplayCommand& command, std::ostream& out, std::ostream& err) {
  ReplayOptions options = command.options;
  if (!command.config.empty()) {
    const auto loaded = load_config(command.config);
    if (!loaded.problems.empty()) return report_problems(loaded, err);
    const auto& watches = loaded.config.watches;
    const auto named = std::find_if(watches.begin(), watches.end(), [&](const auto& watch) {
      return command.watch.empty() || watch.name == command.watch;
    });
    if (named == watches.end()) {
      err << "lapwing-agent: " << command.config.string() << ": no [[watch]] is called \""
          << command.watch << "\"\n";
      return kExitUsage;
    }
    const double budget = options.watch.alarms_per_week;
    const bool given = budget != detect::WatchConfig{}.alarms_per_week;
    options.watch = *named;
    if (given) options.watch.alarms_per_week = budget;
  }
  const auto report = replay(options);
  if (!report) {
    err << "lapwing-agent: " << report.error().context << '\n';
    return report.error().code == Errc::bad_config ? kExitConfig : kExitFailed;
  }
  if (command.json) {
    out << to_json(*report).dump(2) << '\n';
  } else {
    out << to_text(*report);
    if (!options.plot.empty()) out << "picture: " << options.plot.string() << '\n';
  }
  return 0;
}

int run_detectors(std::ostream& out) {
  for (const auto& kind : detect::kKinds) {
    out << std::left << std::setw(18) << kind.name << kind.summary << '\n'
        << std::setw(18) << ""
        << "for: " << kind.when << '\n'
        << std::setw(18) << ""
        << (kind.learning == detect::Learning::online ? "learns on the device"
                                                      : "needs a trained model")
        << "; up to " << kind.state_bytes_max << " bytes a stream; about " << kind.nanoseconds_row
        << " ns a reading\n";
  }
  return 0;
}

}  // namespace lapwing::agent
