// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fleet/records.hpp"

#include "shared/wire/codec.hpp"

namespace lapwing::fleet {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): one number from another, evenly.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

/// In [0, 1).
double share(std::uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1.0p-53; }

}  // namespace

Records::Records(const RecordShape& shape) : shape_(shape) {
  for (std::uint32_t i = 0; i < shape.streams; ++i) {
    const char* sensor = i % 2 == 0 ? "/vibration" : "/temperature";
    streams_.push_back("plant1/pump" + std::to_string(i / 2) + sensor);
  }
}

std::uint64_t Records::anomaly_steps(std::uint64_t device, std::uint64_t seq) const noexcept {
  return shape_.anomaly_every == 0 ? 0
                                   : (seq + device % shape_.anomaly_every) / shape_.anomaly_every;
}

wire::AnomalyRecord Records::anomaly(std::uint64_t device, std::uint64_t step, Time at,
                                     const std::string& stream) const {
  wire::AnomalyRecord record;
  record.id = (step + 1) / 2;
  const double size = share(mixed(device ^ (record.id << 20U)));
  record.phase = step % 2 == 1 ? wire::Phase::opened : wire::Phase::closed;
  record.severity = size < 0.7   ? wire::Severity::minor
                    : size < 0.9 ? wire::Severity::major
                                 : wire::Severity::critical;
  record.stream = stream;
  record.watch = "pumps";
  record.detector = "auto";
  record.onset = at;
  record.peak_time = at + std::chrono::seconds(2);
  if (record.phase == wire::Phase::closed) record.end = at + std::chrono::seconds(30);
  record.peak_score = 1 + 5 * size;
  record.peak_value = 40 + 20 * size;
  record.band = {20, 17.5, 22.5};
  record.text = "higher than this hour's usual 17.5 to 22.5";
  return record;
}

wire::RecordBody Records::body(std::uint64_t device, std::uint64_t seq) const {
  const std::uint64_t index = seq - 1;
  const std::string& stream = streams_[index % streams_.size()];
  const auto turn = static_cast<std::int64_t>(index / streams_.size());
  const Time begin = shape_.base + turn * shape_.interval;
  const std::uint64_t step = anomaly_steps(device, seq);
  if (step != anomaly_steps(device, seq - 1)) {
    // Both steps of one anomaly tell its onset and stream: those of the step that opened it.
    const std::uint64_t opened =
        ((step - 1) | 1U) * shape_.anomaly_every - device % shape_.anomaly_every - 1;
    const auto first = static_cast<std::int64_t>(opened / streams_.size());
    return anomaly(device, step, shape_.base + first * shape_.interval,
                   streams_[opened % streams_.size()]);
  }
  const std::uint64_t bits = mixed((device << 40U) ^ seq);
  const double noise = share(bits);
  const double other = share(mixed(bits));
  wire::SummaryRecord summary;
  summary.stream = stream;
  summary.watch = "pumps";
  summary.begin = begin;
  summary.end = begin + shape_.interval;
  summary.readings = 10;
  summary.value_min = 18.5 + noise;
  summary.value_mean = 19.5 + other;
  summary.value_max = 20.5 + noise + other;
  summary.score_mean = 0.2 * noise;
  summary.score_max = 0.7 * other;
  summary.band = {20, 17 + noise, 22 + other};
  return summary;
}

wire::RecordEntry Records::entry(std::uint64_t device, std::uint64_t seq) const {
  const wire::RecordBody made = body(device, seq);
  return {seq, seq, wire::class_of(made), wire::encode_record(made)};
}

std::uint64_t Records::hash(std::uint64_t device, std::uint64_t seq) const {
  return wire::record_hash(entry(device, seq).payload);
}

}  // namespace lapwing::fleet
