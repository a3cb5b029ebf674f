// SPDX-License-Identifier: Apache-2.0
#include "shared/model/text.hpp"

#include "shared/base/short_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace lapwing::model {
namespace {

using Line = std::vector<std::string>;

/// As a terminal counts: bytes that go on with a character are none.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

/// Columns as wide as their widest cell; the first to the left, numbers to the right.
std::string table(const std::vector<Line>& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c)
      widths[c] = std::max(widths[c], width_of(line[c]));
  }
  std::string text;
  for (const auto& line : lines) {
    text += "  ";
    for (std::size_t c = 0; c < line.size(); ++c) {
      const std::string gap(widths[c] - width_of(line[c]), ' ');
      text += c == 0 ? line[c] + gap : "  " + gap + line[c];
    }
    text += '\n';
  }
  return text;
}

std::string percent(double share) { return short_number(100 * share) + " %"; }

/// The share that a calibration tells of `share`, where it does.
std::string score_at(const Calibration& calibration, double share) {
  const auto at = std::ranges::find(calibration.shares, share);
  if (at == calibration.shares.end()) return "-";
  return short_number(
      calibration.scores[static_cast<std::size_t>(at - calibration.shares.begin())]);
}

nlohmann::json to_json(const Calibration& calibration) {
  return {{"rows", calibration.rows},
          {"held_out", calibration.held_out},
          {"shares", calibration.shares},
          {"scores", calibration.scores}};
}

}  // namespace

std::string to_text(const Header& header) {
  const auto& l = header.lineage;
  std::string text = header.kind + " of " + std::to_string(header.sensors.size()) +
                     " sensors, trained on " + std::to_string(l.rows) + " rows";
  if (l.span) text += ", " + short_time(l.span->first) + " to " + short_time(l.span->second);
  text += "\n  seed " + std::to_string(l.seed);
  for (const auto& [name, value] : header.parameters) {
    text += ", " + name + " " + short_number(value);
  }
  if (!l.tool.empty()) text += ", by " + l.tool;
  if (!l.data_sha256.empty()) text += "\n  data " + l.data_sha256;
  text += "\n\n";
  std::vector<Line> lines{{"sensor", "unit", "mean", "deviation", "least", "greatest", "missing"}};
  for (const auto& s : header.sensors) {
    lines.push_back({s.name, s.unit.empty() ? "-" : s.unit, short_number(s.mean),
                     short_number(s.deviation), short_number(s.least), short_number(s.greatest),
                     percent(s.missing_share)});
  }
  return text + table(lines) + '\n';
}

nlohmann::json to_json(const Header& header) {
  nlohmann::json sensors = nlohmann::json::array();
  for (const auto& s : header.sensors) {
    sensors.push_back({{"name", s.name},
                       {"unit", s.unit.empty() ? nlohmann::json(nullptr) : nlohmann::json(s.unit)},
                       {"mean", s.mean},
                       {"deviation", s.deviation},
                       {"least", s.least},
                       {"greatest", s.greatest},
                       {"missing_share", s.missing_share}});
  }
  const auto& l = header.lineage;
  nlohmann::json lineage{{"data_sha256", l.data_sha256},
                         {"rows", l.rows},
                         {"seed", l.seed},
                         {"tool", l.tool},
                         {"from", nullptr},
                         {"to", nullptr}};
  if (l.span) {
    lineage["from"] = to_rfc3339(l.span->first);
    lineage["to"] = to_rfc3339(l.span->second);
  }
  return {{"kind", header.kind},
          {"sensors", std::move(sensors)},
          {"parameters", header.parameters},
          {"calibration", to_json(header.calibration)},
          {"lineage", std::move(lineage)}};
}

std::string to_text(const Evaluation& evaluation) {
  std::vector<Line> lines{{"of the rows score at most", "trained on", "held out"}};
  for (const double share : {0.5, 0.9, 0.99, 0.999, 1.0}) {
    lines.push_back({percent(share), score_at(evaluation.trained, share),
                     evaluation.held_out ? score_at(*evaluation.held_out, share) : "-"});
  }
  std::string text = table(lines);
  if (!evaluation.held_out) {
    return text + "too few rows to hold any out: the training rows calibrate\n\n";
  }
  text += percent(evaluation.held_out_above) + " of the " +
          std::to_string(evaluation.held_out_rows) +
          " newest rows, which it was not trained on, score above 99 % of the others";
  if (evaluation.held_out_above > 0.1) {
    text += ":\n  they are not like them; train on more of the past, or look at what changed";
  }
  if (const auto& alarms = evaluation.alarms) {
    text += "\nat " + short_number(alarms->asked_per_week) + " alarms a week they raise " +
            std::to_string(alarms->raised) + " in " + short_number(alarms->weeks) + " weeks; " +
            short_number(alarms->expected) + " expected";
  }
  return text + "\n\n";
}

nlohmann::json to_json(const Evaluation& evaluation) {
  nlohmann::json json{{"trained_rows", evaluation.trained_rows},
                      {"held_out_rows", evaluation.held_out_rows},
                      {"trained", to_json(evaluation.trained)},
                      {"held_out", nullptr},
                      {"held_out_above", nullptr},
                      {"alarms", nullptr}};
  if (evaluation.held_out) {
    json["held_out"] = to_json(*evaluation.held_out);
    json["held_out_above"] = evaluation.held_out_above;
  }
  if (const auto& alarms = evaluation.alarms) {
    json["alarms"] = {{"asked_per_week", alarms->asked_per_week},
                      {"weeks", alarms->weeks},
                      {"expected", alarms->expected},
                      {"raised", alarms->raised}};
  }
  return json;
}

}  // namespace lapwing::model
