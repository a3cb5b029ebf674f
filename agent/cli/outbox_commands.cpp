// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.hpp"
#include "agent/cli/outbox_folder.hpp"
#include "agent/cli/words.hpp"
#include "agent/outbox/database.hpp"
#include "shared/wire/codec.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <ostream>
#include <utility>
#include <variant>

namespace lapwing::agent {
namespace {

using nlohmann::json;

constexpr std::uint32_t kRecordsRead = 1000;
constexpr std::uint64_t kBytesRead = std::uint64_t{4} << 20;

json to_json(const std::vector<wire::Tag>& tags) {
  json out = json::object();
  for (const auto& tag : tags) out[tag.key] = tag.value;
  return out;
}

void add_band(json& out, const wire::Band& band) {
  out["expected"] = number(band.expected);
  out["lower"] = number(band.lower);
  out["upper"] = number(band.upper);
}

json body_to_json(const wire::AnomalyRecord& a) {
  char id[17];
  std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(a.id));
  json out{{"id", id},
           {"phase", word(a.phase)},
           {"severity", word(a.severity)},
           {"reason", word(a.reason)},
           {"stream", a.stream},
           {"watch", a.watch},
           {"detector", a.detector},
           {"onset", to_rfc3339(a.onset)},
           {"peak_time", to_rfc3339(a.peak_time)},
           {"end", a.end ? json(to_rfc3339(*a.end)) : json()},
           {"peak_score", number(a.peak_score)},
           {"peak_value", number(a.peak_value)},
           {"text", a.text},
           {"tags", to_json(a.tags)}};
  add_band(out, a.band);
  return out;
}

json body_to_json(const wire::SummaryRecord& s) {
  json out{{"stream", s.stream},
           {"watch", s.watch},
           {"begin", to_rfc3339(s.begin)},
           {"end", to_rfc3339(s.end)},
           {"readings", s.readings},
           {"value_min", number(s.value_min)},
           {"value_mean", number(s.value_mean)},
           {"value_max", number(s.value_max)},
           {"score_mean", number(s.score_mean)},
           {"score_max", number(s.score_max)},
           {"tags", to_json(s.tags)}};
  add_band(out, s.band);
  return out;
}

json body_to_json(const wire::LossRecord& loss) {
  return {{"loss_reason", word(loss.reason)},
          {"seq_first", loss.seq_first},
          {"seq_last", loss.seq_last}};
}

json to_json(const wire::ModelStatistics& s) {
  return {{"since", to_rfc3339(s.since)},
          {"until", to_rfc3339(s.until)},
          {"rows", s.rows},
          {"alarms", s.alarms},
          {"anomalous_rows", s.anomalous_rows},
          {"rival_alarms", s.rival_alarms},
          {"rival_anomalous_rows", s.rival_anomalous_rows},
          {"agreement", number(s.agreement)},
          {"psi", number(s.psi)},
          {"cost_p99_s", number(s.cost_p99)},
          {"rival_cost_p99_s", number(s.rival_cost_p99)},
          {"not_a_number", s.not_a_number},
          {"memory_bytes", s.memory_bytes},
          {"quantiles", s.quantiles}};
}

json body_to_json(const wire::ModelReport& report) {
  json out{{"model", report.model},       {"version", report.version},
           {"state", report.state},       {"detail", report.detail},
           {"offer", report.offer},       {"rollout", report.rollout},
           {"at", to_rfc3339(report.at)}, {"keys_number", report.keys_number}};
  if (report.statistics) out["statistics"] = to_json(*report.statistics);
  return out;
}

/// One line of the export; a record that cannot be read says so instead.
json to_json(const wire::RecordEntry& entry) {
  json out{{"seq", entry.seq}, {"class", word(entry.record_class)}};
  if (entry.seq_last != entry.seq) out["seq_last"] = entry.seq_last;
  const auto body = wire::decode_record(entry.payload);
  if (!body) {
    out["unreadable"] = body.error().context;
    return out;
  }
  out.update(std::visit([](const auto& record) { return body_to_json(record); }, *body));
  return out;
}

struct Opened {
  std::unique_ptr<OutboxReader> reader;
  std::filesystem::path folder;
  int exit_code = 0;
};

Opened open(const OutboxCommand& command, std::ostream& err) {
  const OutboxFolder found = find_outbox(command, err);
  Opened opened{.folder = found.path, .exit_code = found.exit_code};
  if (opened.exit_code != 0) return opened;
  auto reader = OutboxReader::open(opened.folder);
  if (!reader) {
    opened.exit_code = failed(reader.error(), err);
    return opened;
  }
  opened.reader = *std::move(reader);
  return opened;
}

}  // namespace

int run_outbox_stats(const OutboxCommand& command, std::ostream& out, std::ostream& err) {
  const auto opened = open(command, err);
  if (opened.reader == nullptr) return opened.exit_code;
  const auto position = opened.reader->position();
  if (!position) return failed(position.error(), err);
  const auto counts = opened.reader->counts();
  if (!counts) return failed(counts.error(), err);
  const auto losses = opened.reader->losses(position->acked_seq + 1, position->next_seq);
  if (!losses) return failed(losses.error(), err);
  std::uint64_t lost = 0;
  for (const auto& range : *losses) lost += range.seq_last - range.seq_first + 1;
  json report{{"folder", opened.folder.string()},
              {"database_id", position->database_id},
              {"epoch", position->epoch},
              {"next_seq", position->next_seq},
              {"acknowledged", position->acked_seq},
              {"lost", lost}};
  json classes = json::object();
  for (const auto& count : *counts) {
    classes[std::string(word(count.record_class))] = {{"records", count.records},
                                                      {"bytes", count.bytes}};
  }
  report["waiting"] = classes;
  if (command.json) {
    out << report.dump(2) << '\n';
    return 0;
  }
  out << "outbox        " << opened.folder.string() << '\n'
      << "database id   " << position->database_id << '\n'
      << "epoch         " << position->epoch << (position->epoch == 0 ? " (never met a hub)" : "")
      << '\n'
      << "records made  " << position->next_seq - 1 << '\n'
      << "acknowledged  " << position->acked_seq << '\n'
      << "given up      " << lost << " not yet told to the hub\n";
  for (const auto& count : *counts) {
    out << "waiting       " << count.records << ' ' << word(count.record_class) << ", "
        << count.bytes << " bytes\n";
  }
  return 0;
}

int run_outbox_export(const OutboxCommand& command, std::ostream& out, std::ostream& err) {
  const auto opened = open(command, err);
  if (opened.reader == nullptr) return opened.exit_code;
  const auto position = opened.reader->position();
  if (!position) return failed(position.error(), err);
  std::uint64_t next = position->acked_seq + 1;
  while (next < position->next_seq) {
    const auto entries = opened.reader->read(next, position->next_seq, kRecordsRead, kBytesRead);
    if (!entries) return failed(entries.error(), err);
    if (entries->empty()) break;
    for (const auto& entry : *entries) {
      out << to_json(entry).dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    }
    next = entries->back().seq_last + 1;
  }
  return 0;
}

}  // namespace lapwing::agent
