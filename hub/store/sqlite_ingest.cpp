// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite_ingest.hpp"

#include "hub/store/sync_text.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace lapwing::hub {

void SqliteWriter::forget() {
  streams_of_device.clear();
  streams_cached = 0;
  feed_seq = 0;
  history_rows = 0;
  connection->rows("SELECT key, value FROM meta", [this](const sqlite::Row& row) {
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
      " epoch_accounted, streams, anomalies_open, record_us, open_loss_us FROM devices"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND device = ?",
      [&](const sqlite::Row& row) {
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
        device.frontier = device.session.sync.watermark;
        if (!row.is_null(16)) device.newest_us = row.integer(16);
        if (!row.is_null(17)) device.open_loss_us = row.integer(17);
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
    device.frontier = watermark;
  }
  device.frontier = std::max(device.frontier, watermark);
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
      [&](const sqlite::Row& row) { hash = row.count(0); }, device.tenant_no, device.device_no,
      epoch, seq);
  if (db_.failed()) return db_.failure();
  return hash;
}

Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> SqliteIngest::online_devices(
    std::size_t limit) {
  std::vector<std::pair<DeviceKey, sync::DeviceSyncState>> devices;
  db_.rows(
      "SELECT t.tenant, d.device, d.sync FROM devices d JOIN tenants t USING(tenant_no)"
      " WHERE d.online = 1 LIMIT ?",
      [&](const sqlite::Row& row) {
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
  note_time(s, record);
  if (!take_key(s, record.seq, static_cast<int>(record.record_class), record.hash)) {
    ++s.counts.duplicates;
    return;
  }
  ++s.device.stored;
  ++s.counts.stored;
  if (const auto* anomaly = std::get_if<wire::AnomalyRecord>(record.body)) {
    store_anomaly(s, record, *anomaly);
  } else if (const auto* summary = std::get_if<wire::SummaryRecord>(record.body)) {
    store_summary(s, record, *summary);
  }
}

void SqliteIngest::write_device(DeviceWork& device) {
  db_.run(
      "UPDATE devices SET stored=?, lost_quota=?, lost_corrupt=?, lost_vanished=?, lost_poison=?,"
      " epoch_base=?, epoch_produced=?, epoch_accounted=?, streams=?, anomalies_open=?,"
      " record_us=?, open_loss_us=? WHERE tenant_no=? AND device_no=?",
      device.stored, device.lost.quota, device.lost.corrupt, device.lost.vanished,
      device.lost.poison, device.epoch_base, device.epoch_produced, device.epoch_accounted,
      device.streams, device.anomalies_open, device.newest_us, device.open_loss_us,
      device.tenant_no, device.device_no);
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
