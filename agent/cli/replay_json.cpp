// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/replay_json.hpp"

#include "agent/cli/words.hpp"

#include <string_view>
#include <utility>

namespace lapwing::agent {
namespace {

nlohmann::json to_json(const Anomaly& anomaly, const ReplayReport& report) {
  const detect::Event& event = anomaly.event;
  nlohmann::json out = {{"onset", to_rfc3339(event.onset)},
                        {"peak_time", to_rfc3339(event.peak_time)},
                        {"end", to_rfc3339(event.end)},
                        {"severity", word(event.severity)},
                        {"peak_score", number(event.peak_score)},
                        {"peak_value", number(event.peak_value)},
                        {"expected", number(event.band.expected)},
                        {"lower", number(event.band.lower)},
                        {"upper", number(event.band.upper)},
                        {"text", anomaly.text}};
  if (report.sensors.empty()) return out;
  out["sensor"] = anomaly.sensor ? nlohmann::json(report.sensors[*anomaly.sensor]) : nullptr;
  nlohmann::json& contributions = out["contributions"] = nlohmann::json::array();
  for (const detect::Part& part : anomaly.parts) {
    contributions.push_back({{"sensor", report.sensors[part.sensor]}, {"share", part.share}});
  }
  return out;
}

}  // namespace

nlohmann::json to_json(const ReplayReport& report) {
  nlohmann::json anomalies = nlohmann::json::array();
  for (const Anomaly& one : report.anomalies) anomalies.push_back(to_json(one, report));
  nlohmann::json out = {{"rows", report.rows},
                        {"readings", report.readings},
                        {"rows_bad", report.rows_bad},
                        {"dropped", report.dropped},
                        {"warm", report.warm},
                        {"seconds", number(report.seconds)},
                        {"anomalies", std::move(anomalies)}};
  if (!report.sensors.empty()) out["sensors"] = report.sensors;
  return out;
}

nlohmann::json to_json(const Judgement& judgement) {
  const Judgement& j = judgement;
  return {{"anomalies", j.anomalies},
          {"events", j.windows},
          {"events_found", j.windows_found},
          {"events_before_first_score", j.windows_early},
          {"precision", number(j.precision())},
          {"recall", number(j.recall())},
          {"false_alarms_per_week", number(j.false_alarms_per_week())},
          {"delay_seconds_median", number(j.median_delay())}};
}

}  // namespace lapwing::agent
