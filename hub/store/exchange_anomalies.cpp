// SPDX-License-Identifier: Apache-2.0
/// Anomalies of other regions: merged as records are, with all that is derived from them.
#include "hub/store/lists_text.hpp"
#include "hub/store/sql_exchange.hpp"
#include "hub/store/sql_ingest.hpp"

#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

constexpr int kClosed = static_cast<int>(wire::Phase::closed);

/// One anomaly of the page, and what of it is here.
struct Work {
  const ExchangedAnomaly* told = nullptr;
  std::int64_t device_no = 0;
  std::int64_t anomaly_no = 0;  ///< 0: it is new
  bool was_open = false;
  std::string stream;  ///< of what is here
  std::string watch;
  bool older = false;
};

auto step_of(const ExchangedAnomaly& a) { return std::tuple(a.record.phase, a.epoch, a.seq); }

/// By device, then id, so that devices are locked in the order in which ingest locks them.
using Works = std::map<std::pair<std::string, std::uint64_t>, Work>;

/// The newest step of each.
Works newest(std::span<const ExchangedRow> rows) {
  Works works;
  for (const auto& row : rows) {
    const auto& told = std::get<ExchangedAnomaly>(row);
    auto& work = works[{told.device, told.record.id}];
    if (work.told == nullptr || step_of(told) > step_of(*work.told)) work.told = &told;
  }
  return works;
}

/// The devices' numbers, locked.
std::map<std::string, std::int64_t> lock_devices(const Taking& t, const Works& works) {
  std::map<std::string, std::int64_t> numbers;
  const std::string* last = nullptr;
  for (const auto& [key, work] : works) {
    const auto& device = key.first;
    if (last != nullptr && *last == device) continue;
    last = &device;
    t.db.later(
        std::string("SELECT device_no FROM devices WHERE tenant_no=? AND device=?")
            .append(t.writer.locking()),
        [&numbers, device](const sql::Row& row) { numbers[device] = row.integer(0); }, t.tenant_no,
        device);
  }
  t.db.sync();
  return numbers;
}

void look_up(const Taking& t, Works& works) {
  for (auto& [key, work] : works) {
    const auto& a = *work.told;
    t.db.later(
        "SELECT anomaly_no, phase, (phase, epoch, seq) >= (?, ?, ?), stream, watch FROM anomalies"
        " WHERE tenant_no=? AND device_no=? AND id=?",
        [&work = work](const sql::Row& row) {
          work.anomaly_no = row.integer(0);
          work.was_open = row.integer(1) < kClosed;
          work.older = row.integer(2) != 0;
          work.stream = row.text(3);
          work.watch = row.text(4);
        },
        static_cast<int>(a.record.phase), a.epoch, a.seq, t.tenant_no, work.device_no, a.record.id);
  }
  t.db.sync();
}

void write(const Taking& t, Work& work) {
  const auto& a = work.told->record;
  std::optional<std::int64_t> end;
  if (a.end) end = to_micros(*a.end);
  const auto tags = tags_text(a.tags);
  const auto contributions = contributions_text(a.contributions);
  const auto updated_at = to_micros(work.told->updated_at);
  if (work.anomaly_no != 0) {
    t.db.post(
        "UPDATE anomalies SET phase=?, epoch=?, seq=?, severity=?, reason=?, stream=?, watch=?,"
        " detector=?, onset=?, peak_time=?, end_us=?, peak_score=?, peak_value=?, expected=?,"
        " lower=?, upper=?, text=?, contributions=?, tags=?, updated_at=?, peer_no=?"
        " WHERE anomaly_no=?",
        static_cast<int>(a.phase), work.told->epoch, work.told->seq, static_cast<int>(a.severity),
        static_cast<int>(a.reason), a.stream, a.watch, a.detector, to_micros(a.onset),
        to_micros(a.peak_time), end, a.peak_score, a.peak_value, a.band.expected, a.band.lower,
        a.band.upper, a.text, contributions, tags, updated_at, t.peer_no, work.anomaly_no);
    return;
  }
  t.db.later(
      "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason,"
      " stream, watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected,"
      " lower, upper, text, contributions, tags, received_at, updated_at, peer_no)"
      " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING anomaly_no",
      [&work](const sql::Row& row) { work.anomaly_no = row.integer(0); }, t.tenant_no,
      work.device_no, a.id, static_cast<int>(a.phase), work.told->epoch, work.told->seq,
      static_cast<int>(a.severity), static_cast<int>(a.reason), a.stream, a.watch, a.detector,
      to_micros(a.onset), to_micros(a.peak_time), end, a.peak_score, a.peak_value, a.band.expected,
      a.band.lower, a.band.upper, a.text, contributions, tags, to_micros(work.told->received_at),
      updated_at, t.peer_no);
}

/// How many more anomalies of a stream are open, by device number, stream and watch.
using OpenChanges =
    std::map<std::int64_t, std::map<std::pair<std::string, std::string>, std::int64_t>>;

/// As taking records in does: devices and streams count their open anomalies, and a stream that has
/// one is there.
void count_open(const Taking& t, const OpenChanges& changes) {
  for (const auto& [device_no, streams] : changes) {
    std::int64_t device_change = 0;
    for (const auto& [stream, change] : streams) {
      if (change == 0) continue;
      device_change += change;
      t.db.post(
          "UPDATE devices SET streams = streams + 1 WHERE tenant_no=?1 AND device_no=?2"
          " AND streams < ?3 AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.tenant_no=?1"
          " AND s.device_no=?2 AND s.stream=?4 AND s.watch=?5)",
          t.tenant_no, device_no, kStreamsPerDeviceMax, stream.first, stream.second);
      t.db.post(
          "INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch)"
          " SELECT ?1, ?2, d.streams, ?3, ?4 FROM devices d WHERE d.tenant_no=?1"
          " AND d.device_no=?2 AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.tenant_no=?1"
          " AND s.device_no=?2 AND s.stream_no = d.streams)",
          t.tenant_no, device_no, stream.first, stream.second);
      t.db.post(
          "UPDATE streams SET anomalies_open = anomalies_open + ? WHERE tenant_no=?"
          " AND device_no=? AND stream=? AND watch=?",
          change, t.tenant_no, device_no, stream.first, stream.second);
    }
    if (device_change == 0) continue;
    t.db.post(
        "UPDATE devices SET anomalies_open = anomalies_open + ? WHERE tenant_no=? AND device_no=?",
        device_change, t.tenant_no, device_no);
  }
}

}  // namespace

Result<Merged> take_anomalies(const Taking& t, std::span<const ExchangedRow> rows) {
  auto works = newest(rows);
  const auto devices = lock_devices(t, works);
  if (t.db.failed()) return t.db.failure();
  Merged taken;
  taken.known = rows.size() - works.size();
  for (auto at = works.begin(); at != works.end();) {
    const auto device = devices.find(at->first.first);
    if (device == devices.end()) {
      if (!t.pass_unknown) {
        return Error{Errc::not_found, "there is no device " + at->first.first};
      }
      ++taken.unknown_devices;
      at = works.erase(at);
      continue;
    }
    at++->second.device_no = device->second;
  }
  look_up(t, works);
  OpenChanges changes;
  std::vector<const Work*> steps;
  for (auto& [key, work] : works) {
    if (work.older) {
      ++taken.known;
      continue;
    }
    const auto& a = work.told->record;
    auto& streams = changes[work.device_no];
    if (work.was_open) --streams[{work.stream, work.watch}];
    if (a.phase != wire::Phase::closed) ++streams[{a.stream, a.watch}];
    write(t, work);
    steps.push_back(&work);
  }
  count_open(t, changes);
  t.db.sync();
  if (t.db.failed()) return t.db.failure();
  taken.changed = steps.size();
  if (steps.empty()) return taken;
  auto seq = t.writer.number_feed(t.db, std::ssize(steps));
  for (const auto* work : steps) {
    t.db.post("INSERT INTO feed VALUES(?,?,?,?)", t.tenant_no, seq++, work->anomaly_no,
              static_cast<int>(work->told->record.phase));
  }
  taken.feed_newest = static_cast<std::uint64_t>(seq - 1);
  return taken;
}

}  // namespace lapwing::hub
