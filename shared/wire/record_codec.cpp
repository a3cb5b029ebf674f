// SPDX-License-Identifier: Apache-2.0
#include "schemas/batch_generated.h"
#include "schemas/record_generated.h"
#include "shared/wire/codec.hpp"
#include "shared/wire/codec_support.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

namespace lapwing::wire {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
/// Of model statistics: what no device can have counted or measured.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 53U;
constexpr double kPsiMax = 1e6;
constexpr double kCostMax = 86'400;  // seconds

using Tags = flatbuffers::Vector<flatbuffers::Offset<fbs::Tag>>;

fbs::Band to_fbs(const Band& band) { return {band.expected, band.lower, band.upper}; }

Band from_fbs(const fbs::Band* band) {
  return band == nullptr ? Band{} : Band{band->expected(), band->lower(), band->upper()};
}

flatbuffers::Offset<Tags> write_tags(Builder& builder, const std::vector<Tag>& tags) {
  if (tags.empty()) return 0;
  std::vector<flatbuffers::Offset<fbs::Tag>> offsets;
  offsets.reserve(tags.size());
  for (const Tag& tag : tags) {
    offsets.push_back(fbs::CreateTagDirect(builder, tag.key.c_str(), tag.value.c_str()));
  }
  return builder.CreateVector(offsets);
}

bool read_tags(const Tags* from, Texts& texts, std::vector<Tag>& into) {
  if (from == nullptr) return true;
  if (from->size() > kTagsMax) return false;
  for (const auto* tag : *from) {
    into.push_back({texts.name(tag->key(), "tag"), texts.name(tag->value(), "tag value")});
  }
  return true;
}

/// A value of a known enum, else the general one (schemas/README.md).
template <class Enum>
Enum known(std::uint8_t value, Enum last, Enum otherwise) {
  return value >= 1 && value <= static_cast<std::uint8_t>(last) ? static_cast<Enum>(value)
                                                                : otherwise;
}

flatbuffers::Offset<fbs::ModelStatistics> write_statistics(Builder& builder,
                                                           const ModelStatistics& all) {
  return fbs::CreateModelStatisticsDirect(
      builder, to_micros(all.since), to_micros(all.until), all.rows, all.alarms, all.anomalous_rows,
      all.rival_alarms, all.rival_anomalous_rows, all.agreement, all.psi, all.cost_p99,
      all.rival_cost_p99, all.not_a_number, all.memory_bytes,
      all.quantiles.empty() ? nullptr : &all.quantiles);
}

struct Written {
  fbs::RecordBody kind;
  flatbuffers::Offset<void> offset;
};

struct Write {
  Builder& builder;

  Written operator()(const AnomalyRecord& record) const {
    std::vector<flatbuffers::Offset<fbs::Contribution>> parts;
    for (const auto& part : record.contributions) {
      parts.push_back(fbs::CreateContributionDirect(builder, part.stream.c_str(), part.share));
    }
    const auto contributions = parts.empty() ? 0 : builder.CreateVector(parts);
    const auto tags = write_tags(builder, record.tags);
    const auto stream = builder.CreateString(record.stream);
    const auto watch = builder.CreateString(record.watch);
    const auto detector = builder.CreateString(record.detector);
    const auto text = builder.CreateString(record.text);
    const fbs::Band band = to_fbs(record.band);
    fbs::AnomalyBuilder table(builder);
    table.add_id(record.id);
    table.add_phase(static_cast<std::uint8_t>(record.phase));
    table.add_severity(static_cast<std::uint8_t>(record.severity));
    table.add_reason(static_cast<std::uint8_t>(record.reason));
    table.add_stream(stream);
    table.add_watch(watch);
    table.add_detector(detector);
    table.add_onset_us(to_micros(record.onset));
    table.add_peak_us(to_micros(record.peak_time));
    if (record.end) table.add_end_us(to_micros(*record.end));
    table.add_peak_score(record.peak_score);
    table.add_peak_value(record.peak_value);
    table.add_band(&band);
    table.add_text(text);
    table.add_contributions(contributions);
    table.add_tags(tags);
    return {fbs::RecordBody::Anomaly, table.Finish().Union()};
  }

  Written operator()(const SummaryRecord& record) const {
    const auto tags = write_tags(builder, record.tags);
    const auto stream = builder.CreateString(record.stream);
    const auto watch = builder.CreateString(record.watch);
    const fbs::Band band = to_fbs(record.band);
    const auto table =
        fbs::CreateSummary(builder, stream, watch, to_micros(record.begin), to_micros(record.end),
                           record.readings, record.value_min, record.value_mean, record.value_max,
                           record.score_mean, record.score_max, &band, tags);
    return {fbs::RecordBody::Summary, table.Union()};
  }

  Written operator()(const LossRecord& record) const {
    const auto table = fbs::CreateLoss(builder, static_cast<std::uint8_t>(record.reason),
                                       record.seq_first, record.seq_last);
    return {fbs::RecordBody::Loss, table.Union()};
  }

  Written operator()(const ModelReport& report) const {
    const auto statistics = report.statistics ? write_statistics(builder, *report.statistics) : 0;
    const auto table = fbs::CreateModelReportDirect(
        builder, report.model.c_str(), report.version, report.state.c_str(), report.detail.c_str(),
        report.offer, report.rollout, to_micros(report.at), report.keys_number, statistics);
    return {fbs::RecordBody::ModelReport, table.Union()};
  }
};

Result<RecordBody> read_anomaly(const fbs::Anomaly& table, Texts& texts) {
  AnomalyRecord record;
  record.id = table.id();
  if (table.phase() < 1 || table.phase() > static_cast<std::uint8_t>(Phase::closed)) {
    return Error{Errc::bad_input, "anomaly: unknown phase " + std::to_string(table.phase())};
  }
  record.phase = static_cast<Phase>(table.phase());
  record.severity = known(table.severity(), Severity::critical, Severity::minor);
  record.reason = known(table.reason(), Reason::clock, Reason::unusual);
  record.stream = texts.name(table.stream(), "stream");
  record.watch = texts.name(table.watch(), "watch");
  record.detector = texts.name(table.detector(), "detector");
  record.onset = from_micros(table.onset_us());
  record.peak_time = from_micros(table.peak_us());
  if (table.end_us()) record.end = from_micros(*table.end_us());
  record.peak_score = table.peak_score();
  record.peak_value = table.peak_value();
  record.band = from_fbs(table.band());
  record.text = texts.sentence(table.text(), "text");
  if (!read_tags(table.tags(), texts, record.tags)) {
    return Error{Errc::limit, "anomaly: more than " + std::to_string(kTagsMax) + " tags"};
  }
  if (const auto* parts = table.contributions()) {
    if (parts->size() > kContributionsMax) return Error{Errc::limit, "too many contributions"};
    for (const auto* part : *parts) {
      record.contributions.push_back({texts.name(part->stream(), "stream"), part->share()});
    }
  }
  return RecordBody(std::move(record));
}

Result<RecordBody> read_summary(const fbs::Summary& table, Texts& texts) {
  SummaryRecord record;
  record.stream = texts.name(table.stream(), "stream");
  record.watch = texts.name(table.watch(), "watch");
  record.begin = from_micros(table.begin_us());
  record.end = from_micros(table.end_us());
  record.readings = table.readings();
  record.value_min = table.value_min();
  record.value_mean = table.value_mean();
  record.value_max = table.value_max();
  record.score_mean = table.score_mean();
  record.score_max = table.score_max();
  record.band = from_fbs(table.band());
  if (!read_tags(table.tags(), texts, record.tags)) {
    return Error{Errc::limit, "summary: more than " + std::to_string(kTagsMax) + " tags"};
  }
  return RecordBody(std::move(record));
}

/// Not known, or a number within [0, most].
bool plausible(double value, double most) {
  return std::isnan(value) || (value >= 0 && value <= most);
}

Result<ModelStatistics> read_statistics(const fbs::ModelStatistics& table) {
  ModelStatistics all;
  all.since = from_micros(table.since_us());
  all.until = from_micros(table.until_us());
  all.rows = table.rows();
  all.alarms = table.alarms();
  all.anomalous_rows = table.anomalous_rows();
  all.rival_alarms = table.rival_alarms();
  all.rival_anomalous_rows = table.rival_anomalous_rows();
  all.agreement = table.agreement();
  all.psi = table.psi();
  all.cost_p99 = table.cost_p99();
  all.rival_cost_p99 = table.rival_cost_p99();
  all.not_a_number = table.not_a_number();
  all.memory_bytes = table.memory_bytes();
  for (const std::uint64_t count : {all.rows, all.alarms, all.anomalous_rows, all.rival_alarms,
                                    all.rival_anomalous_rows, all.not_a_number, all.memory_bytes}) {
    if (count > kCountMax) return Error{Errc::bad_input, "model statistics: an impossible count"};
  }
  if (all.until < all.since || !plausible(all.agreement, 1) || !plausible(all.psi, kPsiMax) ||
      !plausible(all.cost_p99, kCostMax) || !plausible(all.rival_cost_p99, kCostMax)) {
    return Error{Errc::bad_input, "model statistics: an impossible figure"};
  }
  if (const auto* quantiles = table.quantiles()) {
    if (quantiles->size() > std::size(kModelQuantiles)) {
      return Error{Errc::limit, "model statistics: too many quantiles"};
    }
    all.quantiles.assign(quantiles->begin(), quantiles->end());
    for (const double quantile : all.quantiles) {
      if (!std::isfinite(quantile)) {
        return Error{Errc::bad_input, "model statistics: a quantile that is no number"};
      }
    }
  }
  return all;
}

Result<RecordBody> read_model_report(const fbs::ModelReport& table, Texts& texts) {
  ModelReport report;
  report.model = texts.name(table.model(), "model");
  report.version = table.model_version();
  report.state = texts.name(table.state(), "state");
  report.detail = texts.sentence(table.detail(), "detail");
  report.offer = table.offer();
  report.rollout = table.rollout();
  report.at = from_micros(table.at_us());
  report.keys_number = table.keys_number();
  if (table.statistics() != nullptr) {
    auto statistics = read_statistics(*table.statistics());
    if (!statistics) return statistics.error();
    report.statistics = *std::move(statistics);
  }
  return RecordBody(std::move(report));
}

Result<RecordBody> read_body(const fbs::Record& record, Texts& texts) {
  switch (record.body_type()) {
    case fbs::RecordBody::Anomaly:
      return read_anomaly(*record.body_as_Anomaly(), texts);
    case fbs::RecordBody::Summary:
      return read_summary(*record.body_as_Summary(), texts);
    case fbs::RecordBody::Loss: {
      const auto& table = *record.body_as_Loss();
      if (table.seq_first() == 0 || table.seq_last() < table.seq_first()) {
        return Error{Errc::bad_input, "loss record: empty range"};
      }
      return RecordBody(LossRecord{known(table.reason(), LossReason::poison, LossReason::corrupt),
                                   table.seq_first(), table.seq_last()});
    }
    case fbs::RecordBody::ModelReport:
      return read_model_report(*record.body_as_ModelReport(), texts);
    default:
      return Error{Errc::unsupported, "a class of record this program does not know"};
  }
}

}  // namespace

std::string encode_record(const RecordBody& body) {
  Builder builder;
  const Written written = std::visit(Write{builder}, body);
  fbs::FinishRecordBuffer(
      builder, fbs::CreateRecord(builder, kMessageVersion, written.kind, written.offset));
  return bytes_of(builder);
}

Result<RecordBody> decode_record(std::string_view bytes) {
  if (bytes.size() > kRecordBytesMax) return Error{Errc::limit, "record too long"};
  const Verified<fbs::Record> record(bytes, fbs::RecordIdentifier(), 1024);
  if (!record) return Error{Errc::corrupt, "record: damaged bytes"};
  if (record->version() > kMessageVersion) return too_new("record", record->version());
  Texts texts;
  auto body = read_body(*record.operator->(), texts);
  if (body && !texts.problem().empty()) return Error{Errc::bad_input, "record: " + texts.problem()};
  return body;
}

RecordClass class_of(const RecordBody& body) noexcept {
  return static_cast<RecordClass>(body.index() + 1);
}

std::string encode(const RecordBatch& batch) {
  std::size_t size = 256;
  for (const auto& entry : batch.entries) size += entry.payload.size() + 48;
  Builder builder(size);
  std::vector<flatbuffers::Offset<fbs::Entry>> entries;
  entries.reserve(batch.entries.size());
  for (const auto& entry : batch.entries) {
    builder.ForceVectorAlignment(entry.payload.size(), 1, 8);  // read in place at the hub
    const auto payload = builder.CreateVector(
        reinterpret_cast<const std::uint8_t*>(entry.payload.data()), entry.payload.size());
    entries.push_back(fbs::CreateEntry(builder, entry.seq, entry.seq_last,
                                       static_cast<std::uint8_t>(entry.record_class), payload));
  }
  const auto all = builder.CreateVector(entries);
  const auto connection = builder.CreateString(batch.connection_id);
  fbs::FinishBatchBuffer(builder,
                         fbs::CreateBatch(builder, kMessageVersion, batch.epoch, connection, all));
  return bytes_of(builder);
}

Result<RecordBatch> decode_batch(std::string_view bytes) {
  const Verified<fbs::Batch> table(bytes, fbs::BatchIdentifier(), kEntriesMax + 16);
  if (!table) return Error{Errc::corrupt, "batch: damaged bytes"};
  if (table->version() > kMessageVersion) return too_new("batch", table->version());
  Texts texts;
  RecordBatch batch;
  batch.epoch = table->epoch();
  batch.connection_id = texts.name(table->connection_id(), "connection id");
  if (!texts.problem().empty()) return Error{Errc::bad_input, "batch: " + texts.problem()};
  batch.entries.reserve(table->entries()->size());
  std::uint64_t next = 0;
  for (const auto* entry : *table->entries()) {
    const bool first = batch.entries.empty();
    const bool loss = entry->record_class() == static_cast<std::uint8_t>(RecordClass::loss);
    if (entry->seq() == 0 || entry->seq_last() < entry->seq() || (!first && entry->seq() != next) ||
        entry->seq_last() == UINT64_MAX || (!loss && entry->seq_last() != entry->seq())) {
      return Error{Errc::bad_input,
                   "batch: entry " + std::to_string(batch.entries.size()) + " is out of order"};
    }
    next = entry->seq_last() + 1;
    batch.entries.push_back({entry->seq(), entry->seq_last(),
                             static_cast<RecordClass>(entry->record_class()),
                             std::string(reinterpret_cast<const char*>(entry->payload()->data()),
                                         entry->payload()->size())});
  }
  return batch;
}

std::uint64_t record_hash(std::string_view payload) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(payload.data()), payload.size(), digest);
  std::uint64_t hash = 0;
  for (int i = 7; i >= 0; --i) hash = (hash << 8) | digest[i];
  return hash;
}

}  // namespace lapwing::wire
