// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that derives what people look at: streams and score history.
/// Anomalies are next door.
#include "hub/store/lists_text.hpp"
#include "hub/store/sql_ingest.hpp"
#include "shared/sync/hub.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

/// Streams changed by one statement, beyond the last device's.
constexpr std::size_t kStreamsAtOnce = 10'000;

/// Whether this is the key of these in Writer::Streams.
bool is_key(std::string_view key, std::string_view stream, std::string_view watch) {
  return key.size() == stream.size() + 1 + watch.size() && key.starts_with(stream) &&
         key[stream.size()] == '\0' && key.ends_with(watch);
}

}  // namespace

/// The newest record by number says what is latest, whatever its clock says; one that fills a gap
/// behind a live copy only where it is later.
void SqlIngest::store_summary(Storing& s, const IncomingRecord& record,
                              const wire::SummaryRecord& summary) {
  auto& device = s.device;
  ++s.counts.summaries;
  const auto stream = stream_number(device, summary.stream, summary.watch, summary.tags);
  if (stream == 0) return;
  writer_.add_point(device.numbers, stream, summary, s.received_at);
  auto& latest = stream_change(device, stream);
  const bool newest = record.seq > sync::newest_seq(device.session.sync);
  if (!newest && latest.seen && (latest.newest || to_micros(summary.end) < latest.last_time)) {
    return;
  }
  latest.seen = true;
  latest.newest = newest;
  latest.last_time = to_micros(summary.end);
  latest.last_value = summary.value_mean;
  latest.band = summary.band;
  latest.last_score = summary.score_max;
}

void SqlIngest::load_streams(DeviceWork& device) {
  auto& cache = writer_.stream_cache;
  if (cache.streams > cache.streams_max) {
    cache.clear();
    for (auto& [key, other] : devices_) other.known_streams = nullptr;
  }
  auto& streams = cache.of_device[device.numbers.device_no];
  device.known_streams = &streams;
  device.last_stream = nullptr;
  if (std::ssize(streams) == device.streams) return;
  cache.streams -= streams.size();
  streams.clear();
  db_.rows(
      "SELECT stream_no, stream, watch, tags FROM streams WHERE tenant_no=? AND device_no=?",
      [&](const sql::Row& row) {
        auto key = row.text(1);
        key += '\0';
        key += row.view(2);
        streams.emplace(std::move(key), Writer::Stream{row.integer(0), row.text(3)});
        ++cache.streams;
      },
      device.numbers.tenant_no, device.numbers.device_no);
}

/// The stream's number, making its row when new; 0 when the device has too many.
std::int64_t SqlIngest::stream_number(DeviceWork& device, const std::string& stream,
                                      const std::string& watch,
                                      const std::vector<wire::Tag>& tags) {
  if (device.known_streams == nullptr) load_streams(device);
  auto* const last = device.last_stream;
  auto* at = last == nullptr ? nullptr : last->second.next;
  if (at == nullptr || !is_key(at->first, stream, watch)) {
    stream_key_.assign(stream);
    stream_key_ += '\0';
    stream_key_ += watch;
    auto found = device.known_streams->find(stream_key_);
    if (found == device.known_streams->end()) {
      if (device.streams >= kStreamsPerDeviceMax) return 0;
      ++device.streams;
      found = device.known_streams->emplace(stream_key_, Writer::Stream{device.streams, {}}).first;
      ++writer_.stream_cache.streams;
      db_.post(
          "INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch) VALUES(?,?,?,?,?)",
          device.numbers.tenant_no, device.numbers.device_no, found->second.stream_no, stream,
          watch);
    }
    at = &*found;
    if (last != nullptr) last->second.next = at;
  }
  device.last_stream = at;
  if (!tags.empty()) {
    auto text = tags_text(tags);
    if (text != at->second.tags) {
      db_.post("UPDATE streams SET tags=? WHERE tenant_no=? AND device_no=? AND stream_no=?", text,
               device.numbers.tenant_no, device.numbers.device_no, at->second.stream_no);
      at->second.tags = std::move(text);
    }
  }
  return at->second.stream_no;
}

StreamChange& SqlIngest::stream_change(DeviceWork& device, std::int64_t stream_no) {
  const auto number = static_cast<std::size_t>(stream_no);
  if (number >= device.stream_work_at.size()) {
    device.stream_work_at.resize(std::max(number, static_cast<std::size_t>(device.streams)) + 1);
  }
  auto& at = device.stream_work_at[number];
  if (at == 0) {
    device.stream_work.push_back({.device = device.numbers, .stream_no = stream_no});
    at = static_cast<std::uint32_t>(device.stream_work.size());
  }
  return device.stream_work[at - 1];
}

void SqlIngest::write_streams() {
  std::vector<StreamChange> changes;
  for (auto& [key, device] : devices_) {
    changes.insert(changes.end(), device.stream_work.begin(), device.stream_work.end());
    if (changes.size() < kStreamsAtOnce) continue;
    writer_.write_streams(changes);
    changes.clear();
  }
  if (!changes.empty()) writer_.write_streams(changes);
}

}  // namespace lapwing::hub
