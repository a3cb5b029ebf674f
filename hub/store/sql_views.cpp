// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that derives what people look at: anomalies, feed, streams,
/// score history.
#include "hub/store/lists_text.hpp"
#include "hub/store/sql_ingest.hpp"
#include "shared/sync/hub.hpp"

#include <optional>
#include <utility>

namespace lapwing::hub {
void SqlIngest::store_anomaly(Storing& s, const IncomingRecord& record,
                              const wire::AnomalyRecord& a) {
  auto& device = s.device;
  bool known = false;
  bool older = false;
  bool was_open = false;
  std::int64_t number = 0;
  db_.rows(
      "SELECT anomaly_no, phase, (phase, epoch, seq) >= (?, ?, ?) FROM anomalies"
      " WHERE tenant_no=? AND device_no=? AND id=?",
      [&](const sql::Row& row) {
        known = true;
        number = row.integer(0);
        was_open = row.integer(1) < static_cast<int>(wire::Phase::closed);
        older = row.integer(2) != 0;
      },
      static_cast<int>(a.phase), s.epoch, record.seq, device.numbers.tenant_no,
      device.numbers.device_no, a.id);
  if (older) return;
  std::optional<std::int64_t> end;
  if (a.end) end = to_micros(*a.end);
  const auto tags = tags_text(a.tags);
  const auto contributions = contributions_text(a.contributions);
  if (known) {
    db_.run(
        "UPDATE anomalies SET phase=?, epoch=?, seq=?, severity=?, reason=?, stream=?, watch=?,"
        " detector=?, onset=?, peak_time=?, end_us=?, peak_score=?, peak_value=?, expected=?,"
        " lower=?, upper=?, text=?, contributions=?, tags=?, updated_at=? WHERE anomaly_no=?",
        static_cast<int>(a.phase), s.epoch, record.seq, static_cast<int>(a.severity),
        static_cast<int>(a.reason), a.stream, a.watch, a.detector, to_micros(a.onset),
        to_micros(a.peak_time), end, a.peak_score, a.peak_value, a.band.expected, a.band.lower,
        a.band.upper, a.text, contributions, tags, to_micros(s.received_at), number);
  } else {
    db_.rows(
        "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason,"
        " stream, watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected,"
        " lower, upper, text, contributions, tags, received_at, updated_at)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING anomaly_no",
        [&](const sql::Row& row) { number = row.integer(0); }, device.numbers.tenant_no,
        device.numbers.device_no, a.id, static_cast<int>(a.phase), s.epoch, record.seq,
        static_cast<int>(a.severity), static_cast<int>(a.reason), a.stream, a.watch, a.detector,
        to_micros(a.onset), to_micros(a.peak_time), end, a.peak_score, a.peak_value,
        a.band.expected, a.band.lower, a.band.upper, a.text, contributions, tags,
        to_micros(s.received_at), to_micros(s.received_at));
  }
  feed_.push_back({device.numbers.tenant_no, number, static_cast<int>(a.phase)});
  ++s.counts.anomalies;
  const int change = (a.phase != wire::Phase::closed ? 1 : 0) - (known && was_open ? 1 : 0);
  device.anomalies_open += change;
  const auto stream = stream_number(device, a.stream, a.watch, a.tags);
  if (stream != 0) device.stream_work[stream].open_change += change;
}

/// The newest record by number says what is latest, whatever its clock says; one that fills a gap
/// behind a live copy only where it is later.
void SqlIngest::store_summary(Storing& s, const IncomingRecord& record,
                              const wire::SummaryRecord& summary) {
  auto& device = s.device;
  ++s.counts.summaries;
  const auto stream = stream_number(device, summary.stream, summary.watch, summary.tags);
  if (stream == 0) return;
  writer_.add_point(device.numbers, stream, summary, s.received_at);
  auto& latest = device.stream_work[stream];
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
  stream_key_.assign(stream);
  stream_key_ += '\0';
  stream_key_ += watch;
  auto at = device.known_streams->find(stream_key_);
  if (at == device.known_streams->end()) {
    if (device.streams >= kStreamsPerDeviceMax) return 0;
    ++device.streams;
    at = device.known_streams->emplace(stream_key_, Writer::Stream{device.streams, {}}).first;
    ++writer_.stream_cache.streams;
    db_.post(
        "INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch) VALUES(?,?,?,?,?)",
        device.numbers.tenant_no, device.numbers.device_no, at->second.stream_no, stream, watch);
  }
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

void SqlIngest::write_streams(DeviceWork& device) {
  for (const auto& [stream, w] : device.stream_work) {
    if (w.seen) {
      db_.post(
          "UPDATE streams SET last_time=?1, last_value=?2, expected=?3, lower=?4, upper=?5,"
          " last_score=?6 WHERE tenant_no=?7 AND device_no=?8 AND stream_no=?9"
          " AND (?10 OR coalesce(last_time, ?1) <= ?1)",
          w.last_time, w.last_value, w.band.expected, w.band.lower, w.band.upper, w.last_score,
          device.numbers.tenant_no, device.numbers.device_no, stream, w.newest);
    }
    if (w.open_change != 0) {
      db_.post(
          "UPDATE streams SET anomalies_open = anomalies_open + ?"
          " WHERE tenant_no=? AND device_no=? AND stream_no=?",
          w.open_change, device.numbers.tenant_no, device.numbers.device_no, stream);
    }
  }
}

void SqlIngest::write_feed() {
  if (feed_.empty()) return;
  auto seq = writer_.take_feed_seqs(std::ssize(feed_));
  for (const auto& step : feed_) {
    db_.post("INSERT INTO feed VALUES(?,?,?,?)", step.tenant_no, seq++, step.anomaly_no,
             step.phase);
  }
}

}  // namespace lapwing::hub
