// SPDX-License-Identifier: Apache-2.0
// One message of each kind, with every field set, and comparisons that take NaN for equal to NaN.
#pragma once

#include "shared/wire/messages.hpp"
#include "shared/wire/models.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace lapwing::wire::samples {

inline Hello hello() {
  return {.connection_id = "3-c0ffee",
          .instance_id = "instance",
          .database_id = "database",
          .epoch = 2,
          .next_seq = 1'000,
          .acked_seq = 990,
          .acked_hash = 0x0123456789abcdef,
          .agent_version = "0.1.0",
          .sent = from_micros(1'795'000'000'000'001)};
}
inline Welcome welcome() {
  return {.connection_id = "3-c0ffee",
          .outcome = HelloOutcome::new_epoch,
          .epoch = 3,
          .watermark = 990,
          .batch_records_max = 1'000,
          .batch_bytes_max = 131'072,
          .reason = "new epoch: größer",
          .sent = from_micros(1'795'000'000'000'002)};
}
inline Ack ack() { return {.epoch = 3, .watermark = 1'234, .connection_id = "3-c0ffee"}; }
inline Status status() {
  return {.connection_id = "3-c0ffee",
          .online = true,
          .agent_version = "0.1.0",
          .started = from_micros(1'795'000'000'000'000),
          .sent = from_micros(1'795'000'000'000'003),
          .streams = 6,
          .readings_total = 1ULL << 40,
          .anomalies_open = 1,
          .outbox_records = 244,
          .outbox_bytes = 65'536,
          .quarantined_total = 2,
          .produced_seq = 1'478};
}
inline Command command() {
  return {.id = 12,
          .kind = "reconnect",
          .arguments = R"({"within_ms":5000})",
          .expires = from_micros(1'795'000'000'000'004)};
}
inline CommandResult command_result() {
  return {.connection_id = "3-c0ffee",
          .id = 12,
          .state = CommandState::done,
          .result = "leaves within 5000 ms"};
}
inline Desired desired() { return {.version = 4, .document = R"({"pace_bytes_per_second":4096})"}; }
inline AnomalyRecord anomaly() {
  return {.id = 0xfeed,
          .phase = Phase::closed,
          .severity = Severity::major,
          .reason = Reason::stuck,
          .stream = "plant1/pump3/vibration",
          .watch = "pumps",
          .detector = "auto",
          .onset = from_micros(1'795'000'000'000'000),
          .peak_time = from_micros(1'795'000'001'000'000),
          .end = from_micros(1'795'000'002'000'000),
          .peak_score = 2.5,
          .peak_value = 11.25,
          .band = {4.0, 3.5, 4.5},
          .text = "the same value for 60 s",
          .contributions = {{"plant1/pump3/vibration", 0.75}, {"plant1/pump3/flow", 0.25}},
          .tags = {{"site", "plant1"}, {"machine", "pump3"}}};
}
inline SummaryRecord summary() {
  return {.stream = "plant1/pump3/flow",
          .watch = "pumps",
          .begin = from_micros(1'795'000'000'000'000),
          .end = from_micros(1'795'000'060'000'000),
          .readings = 600,
          .value_min = -1.5,
          .value_mean = 0.0,
          .value_max = 1.5,
          .tags = {{"site", "plant1"}}};
}
inline LossRecord loss() { return {LossReason::quota, 7, 4'711}; }
inline ModelReport model_report() { return {"pump-forest", 12, "active", "since start"}; }

inline ModelReport full_model_report() {
  ModelReport report = model_report();
  report.offer = 9;
  report.rollout = 4;
  report.at = from_micros(1'795'000'000'000'005);
  report.keys_number = 3;
  report.statistics = ModelStatistics{.since = from_micros(1'795'000'000'000'000),
                                      .until = from_micros(1'795'000'060'000'000),
                                      .rows = 60'000,
                                      .alarms = 2,
                                      .anomalous_rows = 31,
                                      .rival_alarms = 1,
                                      .rival_anomalous_rows = 17,
                                      .agreement = 0.9995,
                                      .psi = 0.04,
                                      .cost_p99 = 12e-6,
                                      .rival_cost_p99 = 9e-6,
                                      .not_a_number = 1,
                                      .memory_bytes = 1 << 20,
                                      .quantiles = {.1, .2, .3, .4, .5, .6, .7}};
  return report;
}
inline std::string digest() { return std::string(62, 'a') + "09"; }
inline Offer offer() {
  return {.offer = 7,
          .model = "pumps",
          .number = 12,
          .stage = ModelStage::active,
          .rollout = 4,
          .keys = {"list 1", std::string("list\0two", 8)},
          .manifest = "signed manifest",
          .assignment = "signed assignment"};
}
inline Fetch fetch() {
  return {.connection_id = "3-c0ffee",
          .sha256 = digest(),
          .offset = 3 * kModelBlockBytes + 4'096,
          .length = 8'192};
}
inline Chunk chunk() {
  return {.sha256 = digest(), .offset = 4'096, .total = 5'000, .bytes = std::string("b\0\xff", 3)};
}
inline Chunk no_chunk() {
  return {.sha256 = digest(), .offset = 0, .total = 0, .problem = "no such file"};
}

inline std::vector<RecordBody> bodies() { return {anomaly(), summary(), loss(), model_report()}; }

inline RecordBatch batch() {
  return {3,
          "3-c0ffee",
          {{991, 991, RecordClass::anomaly, "first payload"},
           {992, 5'000, RecordClass::loss, "a loss over a range"},
           {5'001, 5'001, RecordClass::summary, "third"}}};
}

inline bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }
inline bool same(const Band& a, const Band& b) {
  return same(a.expected, b.expected) && same(a.lower, b.lower) && same(a.upper, b.upper);
}
inline bool same(const Hello& a, const Hello& b) {
  return a.connection_id == b.connection_id && a.instance_id == b.instance_id &&
         a.database_id == b.database_id && a.epoch == b.epoch && a.next_seq == b.next_seq &&
         a.acked_seq == b.acked_seq && a.acked_hash == b.acked_hash &&
         a.agent_version == b.agent_version && a.sent == b.sent && a.forked == b.forked &&
         a.desired_version == b.desired_version;
}
inline bool same(const Welcome& a, const Welcome& b) {
  return a.connection_id == b.connection_id && a.outcome == b.outcome && a.epoch == b.epoch &&
         a.watermark == b.watermark && a.batch_records_max == b.batch_records_max &&
         a.batch_bytes_max == b.batch_bytes_max && a.reason == b.reason && a.sent == b.sent &&
         a.known_seq == b.known_seq && a.known_hash == b.known_hash;
}
inline bool same(const Ack& a, const Ack& b) {
  return a.epoch == b.epoch && a.watermark == b.watermark && a.connection_id == b.connection_id;
}
inline bool same(const Status& a, const Status& b) {
  return a.connection_id == b.connection_id && a.online == b.online &&
         a.agent_version == b.agent_version && a.started == b.started && a.sent == b.sent &&
         a.streams == b.streams && a.readings_total == b.readings_total &&
         a.anomalies_open == b.anomalies_open && a.outbox_records == b.outbox_records &&
         a.outbox_bytes == b.outbox_bytes && a.quarantined_total == b.quarantined_total &&
         a.produced_seq == b.produced_seq && a.desired_version == b.desired_version &&
         a.desired_problem == b.desired_problem;
}
inline bool same(const Command& a, const Command& b) {
  return a.id == b.id && a.kind == b.kind && a.arguments == b.arguments && a.expires == b.expires;
}
inline bool same(const CommandResult& a, const CommandResult& b) {
  return a.connection_id == b.connection_id && a.id == b.id && a.state == b.state &&
         a.result == b.result;
}
inline bool same(const Desired& a, const Desired& b) {
  return a.version == b.version && a.document == b.document;
}
inline bool same(const AnomalyRecord& a, const AnomalyRecord& b) {
  if (a.contributions.size() != b.contributions.size()) return false;
  for (std::size_t i = 0; i < a.contributions.size(); ++i) {
    if (a.contributions[i].stream != b.contributions[i].stream ||
        !same(a.contributions[i].share, b.contributions[i].share)) {
      return false;
    }
  }
  return a.id == b.id && a.phase == b.phase && a.severity == b.severity && a.reason == b.reason &&
         a.stream == b.stream && a.watch == b.watch && a.detector == b.detector &&
         a.onset == b.onset && a.peak_time == b.peak_time && a.end == b.end &&
         same(a.peak_score, b.peak_score) && same(a.peak_value, b.peak_value) &&
         same(a.band, b.band) && a.text == b.text && a.tags == b.tags;
}
inline bool same(const SummaryRecord& a, const SummaryRecord& b) {
  return a.stream == b.stream && a.watch == b.watch && a.begin == b.begin && a.end == b.end &&
         a.readings == b.readings && same(a.value_min, b.value_min) &&
         same(a.value_mean, b.value_mean) && same(a.value_max, b.value_max) &&
         same(a.score_mean, b.score_mean) && same(a.score_max, b.score_max) &&
         same(a.band, b.band) && a.tags == b.tags;
}
inline bool same(const LossRecord& a, const LossRecord& b) {
  return a.reason == b.reason && a.seq_first == b.seq_first && a.seq_last == b.seq_last;
}
inline bool same(const ModelStatistics& a, const ModelStatistics& b) {
  return a.since == b.since && a.until == b.until && a.rows == b.rows && a.alarms == b.alarms &&
         a.anomalous_rows == b.anomalous_rows && a.rival_alarms == b.rival_alarms &&
         a.rival_anomalous_rows == b.rival_anomalous_rows && same(a.agreement, b.agreement) &&
         same(a.psi, b.psi) && same(a.cost_p99, b.cost_p99) &&
         same(a.rival_cost_p99, b.rival_cost_p99) && a.not_a_number == b.not_a_number &&
         a.memory_bytes == b.memory_bytes && a.quantiles == b.quantiles;
}
inline bool same(const ModelReport& a, const ModelReport& b) {
  return a.model == b.model && a.version == b.version && a.state == b.state &&
         a.detail == b.detail && a.offer == b.offer && a.rollout == b.rollout && a.at == b.at &&
         a.keys_number == b.keys_number && a.statistics.has_value() == b.statistics.has_value() &&
         (!a.statistics || same(*a.statistics, *b.statistics));
}
inline bool same(const Offer& a, const Offer& b) {
  return a.offer == b.offer && a.model == b.model && a.number == b.number && a.stage == b.stage &&
         a.rollout == b.rollout && a.keys == b.keys && a.manifest == b.manifest &&
         a.assignment == b.assignment;
}
inline bool same(const Fetch& a, const Fetch& b) {
  return a.connection_id == b.connection_id && a.sha256 == b.sha256 && a.offset == b.offset &&
         a.length == b.length;
}
inline bool same(const Chunk& a, const Chunk& b) {
  return a.sha256 == b.sha256 && a.offset == b.offset && a.total == b.total && a.bytes == b.bytes &&
         a.problem == b.problem;
}
inline bool same(const RecordBatch& a, const RecordBatch& b) {
  return a.epoch == b.epoch && a.connection_id == b.connection_id && a.entries == b.entries;
}
inline bool same(const RecordBody& a, const RecordBody& b) {
  return a.index() == b.index() && std::visit(
                                       [&b](const auto& one) {
                                         using T = std::decay_t<decltype(one)>;
                                         return same(one, std::get<T>(b));
                                       },
                                       a);
}

}  // namespace lapwing::wire::samples
