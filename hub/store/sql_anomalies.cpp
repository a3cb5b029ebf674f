// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that keeps anomalies and the live feed. Steps are gathered,
/// so that many take as few journeys to a distant engine as one.
#include "hub/store/sql_ingest.hpp"

#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

/// Steps that wait together, at most; bounds what a transaction holds of them.
constexpr std::size_t kStepsMax = 2'000;
constexpr std::size_t kStepBytesMax = 4U << 20U;

std::size_t bytes_of(const wire::AnomalyRecord& a) {
  auto bytes = sizeof a + a.stream.size() + a.watch.size() + a.detector.size() + a.text.size();
  for (const auto& one : a.contributions) bytes += sizeof one + one.stream.size();
  for (const auto& tag : a.tags) bytes += sizeof tag + tag.key.size() + tag.value.size();
  return bytes;
}

struct KeyHash {
  std::size_t operator()(const std::pair<std::int64_t, std::uint64_t>& key) const noexcept {
    return static_cast<std::size_t>(key.first) * 0x9e3779b97f4a7c15U ^ key.second;
  }
};

}  // namespace

void SqlIngest::store_anomaly(Storing& s, const IncomingRecord& record,
                              const wire::AnomalyRecord& anomaly) {
  ++s.counts.anomalies;
  const auto stream = stream_number(s.device, anomaly.stream, anomaly.watch, anomaly.tags);
  step_bytes_ += bytes_of(anomaly);
  steps_.push_back({&s.device, s.epoch, record.seq, to_micros(s.received_at), stream, anomaly});
  if (steps_.size() >= kStepsMax || step_bytes_ >= kStepBytesMax) write_anomalies();
}

/// What was gathered, in its order. A step that is older than what is known changes nothing.
void SqlIngest::write_anomalies() {
  if (steps_.empty() || db_.failed()) return;
  struct State {
    KnownAnomaly known;    ///< as of the newest step
    AnomalyChange change;  ///< record: null where nothing changes
  };
  std::unordered_map<std::pair<std::int64_t, std::uint64_t>, std::size_t, KeyHash> index;
  std::vector<AnomalyKey> keys;
  std::vector<std::size_t> of_step;
  for (const auto& step : steps_) {
    // A device's number is the hub's own: no two tenants' devices share one.
    const auto [at, fresh] =
        index.try_emplace({step.device->numbers.device_no, step.record.id}, keys.size());
    if (fresh) keys.push_back({step.device->numbers, step.record.id});
    of_step.push_back(at->second);
  }
  std::vector<std::optional<KnownAnomaly>> found;
  writer_.find_anomalies(keys, found);
  if (db_.failed()) return;
  std::vector<State> states(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i]) states[i].known = *found[i];
    states[i].change.anomaly_no = states[i].known.anomaly_no;
    states[i].change.device = keys[i].device;
  }
  std::vector<std::pair<std::size_t, int>> told;  // by state, the phases that the feed tells
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    auto& [known, change] = states[of_step[i]];
    const auto& step = steps_[i];
    const auto phase = static_cast<int>(step.record.phase);
    if (std::tuple(known.phase, known.epoch, known.seq) >=
        std::tuple(phase, step.epoch, step.seq)) {
      continue;
    }
    constexpr int kClosed = static_cast<int>(wire::Phase::closed);
    const bool was_open = known.phase != 0 && known.phase < kClosed;
    const int opened = (phase < kClosed ? 1 : 0) - (was_open ? 1 : 0);
    step.device->anomalies_open += opened;
    if (step.stream_no != 0) stream_change(*step.device, step.stream_no).open_change += opened;
    known.phase = phase;
    known.epoch = change.epoch = step.epoch;
    known.seq = change.seq = step.seq;
    if (change.record == nullptr) change.received_us = step.received_us;
    change.updated_us = step.received_us;
    change.record = &step.record;
    told.emplace_back(of_step[i], phase);
  }
  std::vector<AnomalyChange> changes;
  for (const auto& state : states) {
    if (state.change.record != nullptr) changes.push_back(state.change);
  }
  writer_.write_anomalies(changes);
  // Numbers of new ones are known now.
  for (const auto& change : changes) {
    const auto at = index.at({change.device.device_no, change.record->id});
    states[at].change.anomaly_no = change.anomaly_no;
  }
  for (const auto& [state, phase] : told) {
    const auto& change = states[state].change;
    feed_.push_back({change.device.tenant_no, change.anomaly_no, phase});
  }
  steps_.clear();
  step_bytes_ = 0;
}

}  // namespace lapwing::hub
