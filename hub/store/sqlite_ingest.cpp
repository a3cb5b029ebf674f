// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_ingest.hpp"

#include "hub/store/lists_text.hpp"
#include "hub/store/sqlite_schema.hpp"
#include "hub/store/sync_text.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace lapwing::hub {
namespace {

constexpr std::size_t kStreamsCachedMax = 500'000;
/// The ledger's class of a record that could not be read.
constexpr int kPoisonClass = 0;

std::uint64_t& of_reason(Losses& losses, wire::LossReason reason) {
  switch (reason) {
    case wire::LossReason::corrupt:
      return losses.corrupt;
    case wire::LossReason::vanished:
      return losses.vanished;
    case wire::LossReason::poison:
      return losses.poison;
    case wire::LossReason::quota:
      break;
  }
  return losses.quota;
}

}  // namespace

void SqliteWriter::forget() {
  streams_of_device.clear();
  streams_cached = 0;
  feed_seq = 0;
  history_rows = 0;
  connection->rows("SELECT key, value FROM meta", [this](const SqliteRow& row) {
    if (row.view(0) == "feed_seq") feed_seq = row.integer(1);
    if (row.view(0) == "history_rows") history_rows = row.integer(1);
    if (row.view(0) == "dead_letter_number") dead_letter_number = row.integer(1);
  });
}

SqliteIngest::SqliteIngest(SqliteWriter& writer, std::unique_lock<std::mutex> lock)
    : writer_(writer), lock_(std::move(lock)), db_(*writer.connection) {}

Result<std::unique_ptr<IngestTransaction>> SqliteIngest::begin(SqliteWriter& writer) {
  std::unique_lock lock(writer.mutex);
  writer.connection->clear_failure();
  writer.connection->run("BEGIN IMMEDIATE");
  if (writer.connection->failed()) return writer.connection->failure();
  return std::unique_ptr<IngestTransaction>(new SqliteIngest(writer, std::move(lock)));
}

SqliteIngest::~SqliteIngest() {
  if (!open_) return;
  db_.clear_failure();
  db_.run("ROLLBACK");
  db_.clear_failure();
  writer_.forget();
  db_.clear_failure();
}

SqliteIngest::DeviceWork& SqliteIngest::work(const DeviceKey& key) {
  const auto at = devices_.find(key);
  assert(at != devices_.end() && "device() comes first");
  return at->second;
}

Result<DeviceSession> SqliteIngest::device(const DeviceKey& key) {
  if (const auto at = devices_.find(key); at != devices_.end()) return at->second.session;
  DeviceWork device;
  bool found = false;
  read_device(key, device, found);
  if (db_.failed()) return db_.failure();
  if (!found) {
    return Error{Errc::not_found,
                 "device " + key.tenant + "/" + key.device + " is not enrolled at this hub"};
  }
  return devices_.emplace(key, std::move(device)).first->second.session;
}

void SqliteIngest::read_device(const DeviceKey& key, DeviceWork& device, bool& found) {
  db_.rows(
      "SELECT tenant_no, device_no, revoked_at IS NOT NULL, sync, online, connection_id, stored,"
      " lost_quota, lost_corrupt, lost_vanished, lost_poison, epoch_base, epoch_produced,"
      " epoch_accounted, streams, anomalies_open, quarantined FROM devices"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND device = ?",
      [&](const SqliteRow& row) {
        found = true;
        device.tenant_no = row.integer(0);
        device.device_no = row.integer(1);
        device.device = key.device;
        device.session.revoked = row.integer(2) != 0;
        auto sync = sync_from(row.view(3));
        if (!sync) {
          db_.fail(within("device " + key.tenant + "/" + key.device, std::move(sync).error()));
          return;
        }
        device.session.sync = *std::move(sync);
        device.session.online = row.integer(4) != 0;
        device.session.connection_id = row.text(5);
        device.stored = row.count(6);
        device.lost = {row.count(7), row.count(8), row.count(9), row.count(10)};
        device.epoch_base = row.count(11);
        device.epoch_produced = row.count(12);
        device.epoch_accounted = row.count(13);
        device.streams = row.integer(14);
        device.anomalies_open = row.integer(15);
      },
      key.tenant, key.device);
}

Result<void> SqliteIngest::save_sync(const DeviceKey& key, const sync::DeviceSyncState& state) {
  auto& device = work(key);
  const auto watermark = std::min(state.watermark, kSeqMax);
  if (state.epoch != device.session.sync.epoch) {
    // What the old epoch had not delivered is sent again under the new one.
    device.epoch_base = watermark;
    device.epoch_produced = watermark;
    device.epoch_accounted = 0;
  }
  device.epoch_produced = std::max(device.epoch_produced, watermark);
  device.session.sync = state;
  device.sync_changed = true;
  device.changed = true;
  return {};
}

Result<std::optional<std::uint64_t>> SqliteIngest::record_hash(const DeviceKey& key,
                                                               std::uint64_t epoch,
                                                               std::uint64_t seq) {
  const auto& device = work(key);
  std::optional<std::uint64_t> hash;
  db_.rows(
      "SELECT hash FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=? AND seq=?",
      [&](const SqliteRow& row) { hash = row.count(0); }, device.tenant_no, device.device_no, epoch,
      seq);
  if (db_.failed()) return db_.failure();
  return hash;
}

Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> SqliteIngest::online_devices(
    std::size_t limit) {
  std::vector<std::pair<DeviceKey, sync::DeviceSyncState>> devices;
  db_.rows(
      "SELECT t.tenant, d.device, d.sync FROM devices d JOIN tenants t USING(tenant_no)"
      " WHERE d.online = 1 LIMIT ?",
      [&](const SqliteRow& row) {
        if (auto state = sync_from(row.view(2))) {
          devices.emplace_back(DeviceKey{row.text(0), row.text(1)}, *std::move(state));
        }
      },
      limit);
  if (db_.failed()) return db_.failure();
  return devices;
}

Result<void> SqliteIngest::save_presence(const DeviceKey& key, const Presence& presence) {
  auto& device = work(key);
  auto& known = device.presence;
  auto status = presence.status ? presence.status : std::move(known.status);
  auto version =
      presence.agent_version.empty() ? std::move(known.agent_version) : presence.agent_version;
  known = presence;
  known.status = std::move(status);
  known.agent_version = std::move(version);
  device.presence_changed = true;
  device.changed = true;
  device.session.online = presence.online;
  device.session.connection_id = presence.connection_id;
  auto produced = presence.produced_seq;
  if (presence.status) produced = std::max(produced, presence.status->produced_seq);
  if (produced <= kSeqMax) device.epoch_produced = std::max(device.epoch_produced, produced);
  return {};
}

Result<StoredCounts> SqliteIngest::store(const DeviceKey& key, std::uint64_t epoch,
                                         Time received_at,
                                         std::span<const IncomingRecord> records) {
  StoredCounts counts;
  Storing storing{work(key), epoch, received_at, counts};
  storing.device.changed = true;
  for (const auto& record : records) {
    assert(record.body != nullptr);
    if (epoch > kSeqMax || record.seq_last > kSeqMax || record.seq > record.seq_last) {
      return Error{Errc::bad_input, "sequence number beyond 2^62 or range turned round"};
    }
    store_record(storing, record);
  }
  if (db_.failed()) return db_.failure();
  return counts;
}

void SqliteIngest::store_record(Storing& s, const IncomingRecord& record) {
  if (const auto* loss = std::get_if<wire::LossRecord>(record.body)) {
    store_loss(s, record, *loss);
    return;
  }
  if (!take_key(s, record.seq, static_cast<int>(record.record_class), record.hash)) {
    ++s.counts.duplicates;
    return;
  }
  ++s.device.stored;
  ++s.counts.stored;
  if (const auto* anomaly = std::get_if<wire::AnomalyRecord>(record.body)) {
    store_anomaly(s, record, *anomaly);
  } else if (const auto* summary = std::get_if<wire::SummaryRecord>(record.body)) {
    store_summary(s, *summary);
  }
}

/// Writes the key, once; false when the hub has the record. Keeps the epoch's account.
bool SqliteIngest::take_key(Storing& s, std::uint64_t seq, int record_class, std::uint64_t hash) {
  auto& device = s.device;
  const auto& sync = device.session.sync;
  const bool lossy = has_losses(device, s.epoch);
  // At or below the watermark everything is accounted for; only a lost record may still turn up.
  if (s.epoch == sync.epoch && seq <= sync.watermark && !lossy) return false;
  const auto written = db_.run(
      "INSERT INTO ledger(tenant_no, device_no, epoch, seq, class, hash) VALUES(?,?,?,?,?,?)"
      " ON CONFLICT DO NOTHING",
      device.tenant_no, device.device_no, s.epoch, seq, record_class, hash);
  if (written == 0) return false;
  if (lossy && recover_from_loss(device, s.epoch, seq)) return true;
  if (s.epoch == sync.epoch) {
    if (seq <= sync.watermark) {  // its ledger row was trimmed, and it is no lost one
      db_.run("DELETE FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=? AND seq=?",
              device.tenant_no, device.device_no, s.epoch, seq);
      return false;
    }
    ++device.epoch_accounted;
    device.epoch_produced = std::max(device.epoch_produced, seq);
  }
  return true;
}

bool SqliteIngest::has_losses(DeviceWork& device, std::uint64_t epoch) {
  const auto [at, fresh] = device.has_losses.try_emplace(epoch, false);
  if (fresh) {
    db_.rows(
        "SELECT 1 FROM losses WHERE tenant_no=? AND device_no=? AND epoch=? LIMIT 1",
        [&at = at](const SqliteRow&) { at->second = true; }, device.tenant_no, device.device_no,
        epoch);
  }
  return at->second;
}

/// A record said to be lost has come after all: it moves from lost to stored.
bool SqliteIngest::recover_from_loss(DeviceWork& device, std::uint64_t epoch, std::uint64_t seq) {
  bool covered = false;
  std::int64_t first = 0;
  auto reason = wire::LossReason::quota;
  db_.rows(
      "SELECT seq_first, reason, seq_last >= ? AND records > 0 FROM losses WHERE tenant_no=?"
      " AND device_no=? AND epoch=? AND seq_first <= ? ORDER BY seq_first DESC LIMIT 1",
      [&](const SqliteRow& row) {
        first = row.integer(0);
        reason = static_cast<wire::LossReason>(row.integer(1));
        covered = row.integer(2) != 0;
      },
      seq, device.tenant_no, device.device_no, epoch, seq);
  if (!covered) return false;
  db_.run(
      "UPDATE losses SET records = records - 1"
      " WHERE tenant_no=? AND device_no=? AND epoch=? AND seq_first=?",
      device.tenant_no, device.device_no, epoch, first);
  auto& lost = of_reason(device.lost, reason);
  lost -= std::min<std::uint64_t>(lost, 1);
  return true;
}

/// Accounts for the keys of the range that are neither stored nor accounted as lost already.
void SqliteIngest::store_loss(Storing& s, const IncomingRecord& record,
                              const wire::LossRecord& loss) {
  auto& device = s.device;
  const auto& sync = device.session.sync;
  auto from = record.seq;
  if (s.epoch == sync.epoch) from = std::max(from, sync.watermark + 1);
  std::uint64_t lost = 0;
  const auto take = [&](std::uint64_t first, std::uint64_t last) {
    if (first > last) return;
    std::uint64_t here = 0;
    db_.rows(
        "SELECT count(*) FROM ledger WHERE tenant_no=? AND device_no=? AND epoch=?"
        " AND seq BETWEEN ? AND ?",
        [&](const SqliteRow& row) { here = row.count(0); }, device.tenant_no, device.device_no,
        s.epoch, first, last);
    const auto missing = last - first + 1 - here;
    lost += missing;
    db_.run("INSERT INTO losses VALUES(?,?,?,?,?,?,?,?)", device.tenant_no, device.device_no,
            s.epoch, first, last, static_cast<int>(loss.reason), missing, to_micros(s.received_at));
  };
  std::vector<std::pair<std::uint64_t, std::uint64_t>> known;
  db_.rows(
      "SELECT seq_first, seq_last FROM losses WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_last >= ? AND seq_first <= ? ORDER BY seq_first",
      [&](const SqliteRow& row) { known.emplace_back(row.count(0), row.count(1)); },
      device.tenant_no, device.device_no, s.epoch, from, record.seq_last);
  for (const auto& [first, last] : known) {
    if (first > 0) take(from, first - 1);
    from = std::max(from, last + 1);
  }
  take(from, record.seq_last);
  if (lost == 0) {
    ++s.counts.duplicates;
    return;
  }
  device.has_losses[s.epoch] = true;
  of_reason(device.lost, loss.reason) += lost;
  s.counts.lost += lost;
  if (s.epoch == sync.epoch) {
    device.epoch_accounted += lost;
    device.epoch_produced = std::max(device.epoch_produced, record.seq_last);
  }
}

void SqliteIngest::store_anomaly(Storing& s, const IncomingRecord& record,
                                 const wire::AnomalyRecord& a) {
  auto& device = s.device;
  bool known = false;
  bool older = false;
  bool was_open = false;
  std::int64_t number = 0;
  db_.rows(
      "SELECT anomaly_no, phase, (phase, epoch, seq) >= (?, ?, ?) FROM anomalies"
      " WHERE tenant_no=? AND device_no=? AND id=?",
      [&](const SqliteRow& row) {
        known = true;
        number = row.integer(0);
        was_open = row.integer(1) < static_cast<int>(wire::Phase::closed);
        older = row.integer(2) != 0;
      },
      static_cast<int>(a.phase), s.epoch, record.seq, device.tenant_no, device.device_no, a.id);
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
    db_.run(
        "INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason,"
        " stream, watch, detector, onset, peak_time, end_us, peak_score, peak_value, expected,"
        " lower, upper, text, contributions, tags, received_at, updated_at)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        device.tenant_no, device.device_no, a.id, static_cast<int>(a.phase), s.epoch, record.seq,
        static_cast<int>(a.severity), static_cast<int>(a.reason), a.stream, a.watch, a.detector,
        to_micros(a.onset), to_micros(a.peak_time), end, a.peak_score, a.peak_value,
        a.band.expected, a.band.lower, a.band.upper, a.text, contributions, tags,
        to_micros(s.received_at), to_micros(s.received_at));
    number = db_.last_row();
  }
  db_.run("INSERT INTO feed VALUES(?,?,?,?)", device.tenant_no, ++writer_.feed_seq, number,
          static_cast<int>(a.phase));
  ++s.counts.anomalies;
  const int change = (a.phase != wire::Phase::closed ? 1 : 0) - (known && was_open ? 1 : 0);
  device.anomalies_open += change;
  const auto stream = stream_number(device, a.stream, a.watch, a.tags);
  if (stream != 0) device.stream_work[stream].open_change += change;
}

void SqliteIngest::store_summary(Storing& s, const wire::SummaryRecord& summary) {
  auto& device = s.device;
  ++s.counts.summaries;
  const auto stream = stream_number(device, summary.stream, summary.watch, summary.tags);
  if (stream == 0) return;
  writer_.history_rows +=
      db_.run("INSERT INTO history VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
              device.tenant_no, device.device_no, minute_of(to_micros(summary.begin)), stream,
              to_micros(summary.begin), to_micros(summary.end), summary.readings, summary.value_min,
              summary.value_mean, summary.value_max, summary.score_mean, summary.score_max,
              summary.band.expected, summary.band.lower, summary.band.upper);
  auto& latest = device.stream_work[stream];
  if (latest.seen && to_micros(summary.end) < latest.last_time) return;
  latest.seen = true;
  latest.last_time = to_micros(summary.end);
  latest.last_value = summary.value_mean;
  latest.band = summary.band;
  latest.last_score = summary.score_max;
}

void SqliteIngest::load_streams(DeviceWork& device) {
  auto& cache = writer_.streams_of_device;
  if (writer_.streams_cached > kStreamsCachedMax) {
    cache.clear();
    writer_.streams_cached = 0;
    for (auto& [key, other] : devices_) other.known_streams = nullptr;
  }
  const auto [at, fresh] = cache.try_emplace(device.device_no);
  device.known_streams = &at->second;
  if (!fresh) return;
  db_.rows(
      "SELECT stream_no, stream, watch, tags FROM streams WHERE tenant_no=? AND device_no=?",
      [&](const SqliteRow& row) {
        auto key = row.text(1);
        key += '\0';
        key += row.view(2);
        at->second.emplace(std::move(key), SqliteWriter::Stream{row.integer(0), row.text(3)});
        ++writer_.streams_cached;
      },
      device.tenant_no, device.device_no);
}

/// The stream's number, making its row when new; 0 when the device has too many.
std::int64_t SqliteIngest::stream_number(DeviceWork& device, const std::string& stream,
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
    at = device.known_streams->emplace(stream_key_, SqliteWriter::Stream{device.streams, {}}).first;
    ++writer_.streams_cached;
    db_.run("INSERT INTO streams(tenant_no, device_no, stream_no, stream, watch) VALUES(?,?,?,?,?)",
            device.tenant_no, device.device_no, at->second.stream_no, stream, watch);
  }
  if (!tags.empty()) {
    auto text = tags_text(tags);
    if (text != at->second.tags) {
      db_.run("UPDATE streams SET tags=? WHERE tenant_no=? AND device_no=? AND stream_no=?", text,
              device.tenant_no, device.device_no, at->second.stream_no);
      at->second.tags = std::move(text);
    }
  }
  return at->second.stream_no;
}

Result<void> SqliteIngest::dead_letter(const DeviceKey& key, const DeadLetter& letter) {
  auto& device = work(key);
  device.changed = true;
  if (letter.epoch != 0) {
    if (letter.epoch > kSeqMax || letter.seq > kSeqMax) {
      return Error{Errc::bad_input, "sequence number beyond 2^62"};
    }
    StoredCounts counts;
    Storing storing{device, letter.epoch, letter.received_at, counts};
    if (!take_key(storing, letter.seq, kPoisonClass, letter.hash)) {
      if (db_.failed()) return db_.failure();
      return {};  // known: it was kept the first time
    }
    ++device.lost.poison;
  }
  const std::string_view bytes(letter.bytes.data(),
                               std::min(letter.bytes.size(), kDeadLetterBytesMax));
  db_.run("INSERT INTO dead_letters VALUES(?,?,?,?,?,?,?,?)", device.tenant_no,
          ++writer_.dead_letter_number, device.device, letter.epoch, letter.seq, letter.reason,
          Blob{bytes}, to_micros(letter.received_at));
  if (db_.failed()) return db_.failure();
  return {};
}

void SqliteIngest::write_streams(DeviceWork& device) {
  for (const auto& [stream, w] : device.stream_work) {
    if (w.seen) {
      db_.run(
          "UPDATE streams SET last_time=?1, last_value=?2, expected=?3, lower=?4, upper=?5,"
          " last_score=?6 WHERE tenant_no=?7 AND device_no=?8 AND stream_no=?9"
          " AND last_time <= ?1",
          w.last_time, w.last_value, w.band.expected, w.band.lower, w.band.upper, w.last_score,
          device.tenant_no, device.device_no, stream);
    }
    if (w.open_change != 0) {
      db_.run(
          "UPDATE streams SET anomalies_open = anomalies_open + ?"
          " WHERE tenant_no=? AND device_no=? AND stream_no=?",
          w.open_change, device.tenant_no, device.device_no, stream);
    }
  }
}

void SqliteIngest::write_device(DeviceWork& device) {
  db_.run(
      "UPDATE devices SET stored=?, lost_quota=?, lost_corrupt=?, lost_vanished=?, lost_poison=?,"
      " epoch_base=?, epoch_produced=?, epoch_accounted=?, streams=?, anomalies_open=?"
      " WHERE tenant_no=? AND device_no=?",
      device.stored, device.lost.quota, device.lost.corrupt, device.lost.vanished,
      device.lost.poison, device.epoch_base, device.epoch_produced, device.epoch_accounted,
      device.streams, device.anomalies_open, device.tenant_no, device.device_no);
  if (device.sync_changed) {
    const auto& sync = device.session.sync;
    db_.run(
        "UPDATE devices SET sync=?, epoch=?, watermark=?, quarantined=?"
        " WHERE tenant_no=? AND device_no=?",
        sync_text(sync), sync.epoch, sync.watermark, !sync.quarantine.empty(), device.tenant_no,
        device.device_no);
  }
  if (device.presence_changed) {
    const auto& p = device.presence;
    db_.run(
        "UPDATE devices SET online=?, connection_id=?, last_seen=?"
        " WHERE tenant_no=? AND device_no=?",
        p.online, p.connection_id, to_micros(p.seen), device.tenant_no, device.device_no);
    if (!p.agent_version.empty()) {
      db_.run("UPDATE devices SET agent_version=? WHERE tenant_no=? AND device_no=?",
              p.agent_version, device.tenant_no, device.device_no);
    }
    if (p.status) {
      db_.run(
          "UPDATE devices SET readings_total=?, outbox_records=?, outbox_bytes=?,"
          " quarantined_total=? WHERE tenant_no=? AND device_no=?",
          p.status->readings_total, p.status->outbox_records, p.status->outbox_bytes,
          p.status->quarantined_total, device.tenant_no, device.device_no);
    }
  }
}

Result<std::uint64_t> SqliteIngest::commit() {
  for (auto& [key, device] : devices_) {
    if (!device.changed) continue;
    write_streams(device);
    write_device(device);
  }
  const auto remember = [this](const char* key, std::int64_t value) {
    db_.run("INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=?2", key, value);
  };
  remember("feed_seq", writer_.feed_seq);
  remember("history_rows", writer_.history_rows);
  remember("dead_letter_number", writer_.dead_letter_number);
  db_.run("COMMIT");
  if (db_.failed()) return db_.failure();
  open_ = false;
  const auto newest = static_cast<std::uint64_t>(writer_.feed_seq);
  lock_.unlock();
  return newest;
}

}  // namespace lapwing::hub
