// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sql_ingest.hpp"

#include "hub/store/sql_spool.hpp"
#include "hub/store/sync_text.hpp"

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>

namespace lapwing::hub {

SqlIngest::SqlIngest(Writer& writer, std::unique_lock<std::mutex> lock)
    : writer_(writer), lock_(std::move(lock)), db_(writer.db()) {}

Result<std::unique_ptr<IngestTransaction>> SqlIngest::begin(Writer& writer) {
  std::unique_lock lock(writer.mutex);
  auto& db = writer.db();
  db.clear_failure();
  db.begin(sql::Connection::Access::write);
  if (db.failed()) return db.failure();
  return std::unique_ptr<IngestTransaction>(new SqlIngest(writer, std::move(lock)));
}

SqlIngest::~SqlIngest() {
  if (!open_) return;
  db_.rollback();
  writer_.forget();
  db_.clear_failure();
}

SqlIngest::DeviceWork& SqlIngest::work(const DeviceKey& key) {
  const auto at = devices_.find(key);
  assert(at != devices_.end() && "device() comes first");
  return at->second;
}

Result<void> SqlIngest::lock(std::span<const DeviceKey> keys) {
  const std::set<DeviceKey> wanted(keys.begin(), keys.end());  // in the order of all replicas
  for (const auto& key : wanted) {
    if (!devices_.contains(key)) read_device(key);
  }
  for (const auto& key : wanted) read_losses(key);
  db_.sync();
  if (db_.failed()) return db_.failure();
  return {};
}

Result<DeviceSession> SqlIngest::device(const DeviceKey& key) {
  auto at = devices_.find(key);
  if (at == devices_.end()) {
    read_device(key);
    db_.sync();
    if (db_.failed()) return db_.failure();
    at = devices_.find(key);
  }
  if (at == devices_.end()) {
    return Error{Errc::not_found,
                 "device " + key.tenant + "/" + key.device + " is not enrolled at this hub"};
  }
  return at->second.session;
}

/// Its work is there after the next sync(), when the device exists.
void SqlIngest::read_device(const DeviceKey& key) {
  static constexpr std::string_view kSelect =
      "SELECT tenant_no, device_no, revoked_at IS NOT NULL, sync, online, connection_id, stored,"
      " lost_quota, lost_corrupt, lost_vanished, lost_poison, epoch_base, epoch_produced,"
      " epoch_accounted, streams, anomalies_open, record_us, open_loss_us, elsewhere FROM devices"
      " WHERE tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?) AND device = ?";
  db_.later(
      std::string(kSelect).append(writer_.locking()),
      [this, key](const sql::Row& row) {
        auto sync = sync_from(row.view(3));
        if (!sync) {
          db_.fail(within("device " + key.tenant + "/" + key.device, std::move(sync).error()));
          return;
        }
        auto& device = devices_[key];
        device.numbers = {row.integer(0), row.integer(1)};
        device.device = key.device;
        device.session.revoked = row.integer(2) != 0;
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
        device.elsewhere = row.count(18);
      },
      key.tenant, key.device);
}

Result<void> SqlIngest::save_sync(const DeviceKey& key, const sync::DeviceSyncState& state) {
  auto& device = work(key);
  const auto watermark = std::min(state.watermark, kSeqMax);
  if (state.epoch != device.session.sync.epoch) {
    // What the old epoch had not delivered is sent again under the new one.
    device.epoch_base = watermark;
    device.epoch_produced = watermark;
    device.epoch_accounted = 0;
    device.frontier = watermark;
    device.keys_through = 0;
  }
  device.frontier = std::max(device.frontier, watermark);
  device.epoch_produced = std::max(device.epoch_produced, watermark);
  device.session.sync = state;
  device.sync_changed = true;
  device.changed = true;
  return {};
}

Result<std::optional<std::uint64_t>> SqlIngest::record_hash(const DeviceKey& key,
                                                            std::uint64_t epoch,
                                                            std::uint64_t seq) {
  const auto hash = writer_.key_hash({work(key).numbers, epoch, seq});
  if (db_.failed()) return db_.failure();
  return hash;
}

Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> SqlIngest::online_devices(
    std::string_view replica, std::size_t limit) {
  std::vector<std::pair<DeviceKey, sync::DeviceSyncState>> devices;
  db_.rows(
      "SELECT t.tenant, d.device, d.sync FROM devices d JOIN tenants t USING(tenant_no)"
      " WHERE d.online = 1 AND d.replica IN (?, '') LIMIT ?",
      [&](const sql::Row& row) {
        if (auto state = sync_from(row.view(2))) {
          devices.emplace_back(DeviceKey{row.text(0), row.text(1)}, *std::move(state));
        }
      },
      replica, limit);
  if (db_.failed()) return db_.failure();
  return devices;
}

Result<void> SqlIngest::save_presence(const DeviceKey& key, const Presence& presence) {
  auto& device = work(key);
  auto& known = device.presence;
  auto status = presence.status ? presence.status : std::move(known.status);
  auto version =
      presence.agent_version.empty() ? std::move(known.agent_version) : presence.agent_version;
  auto replica = presence.replica.empty() ? std::move(known.replica) : presence.replica;
  auto reported = std::move(known.reported);
  known = presence;
  known.replica = std::move(replica);
  if (!known.reported) known.reported = std::move(reported);
  known.status = std::move(status);
  known.agent_version = std::move(version);
  device.presence_changed = true;
  device.changed = true;
  // On its way here it may have been with another replica, which may have changed its streams.
  if (presence.connection_id != device.session.connection_id) {
    auto& cache = writer_.stream_cache;
    if (const auto at = cache.of_device.find(device.numbers.device_no);
        at != cache.of_device.end()) {
      cache.streams -= at->second.size();
      cache.of_device.erase(at);
    }
    device.known_streams = nullptr;
  }
  device.session.online = presence.online;
  device.session.connection_id = presence.connection_id;
  auto produced = presence.produced_seq;
  if (presence.status) produced = std::max(produced, presence.status->produced_seq);
  if (produced <= kSeqMax) device.epoch_produced = std::max(device.epoch_produced, produced);
  return {};
}

Result<StoredCounts> SqlIngest::store(const DeviceKey& key, std::uint64_t epoch, Time received_at,
                                      std::span<const IncomingRecord> records) {
  StoredCounts counts;
  Storing storing{key, work(key), epoch, received_at, counts};
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

void SqlIngest::store_record(Storing& s, const IncomingRecord& record) {
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
  tell(s, record);
  if (const auto* anomaly = std::get_if<wire::AnomalyRecord>(record.body)) {
    store_anomaly(s, record, *anomaly);
  } else if (const auto* summary = std::get_if<wire::SummaryRecord>(record.body)) {
    store_summary(s, record, *summary);
  } else if (const auto* report = std::get_if<wire::ModelReport>(record.body)) {
    store_report(s, record, *report);
  }
}

void SqlIngest::store_report(const Storing& s, const IncomingRecord& record,
                             const wire::ModelReport& report) {
  const auto at = devices_.find(s.key);
  reports_.push_back({&at->first, s.device.numbers, {s.epoch, record.seq, s.received_at, report}});
}

/// In the order in which targets are changed everywhere: none waits for another in a circle.
void SqlIngest::write_reports() {
  std::stable_sort(reports_.begin(), reports_.end(),
                   [](const auto& a, const auto& b) { return *a.key < *b.key; });
  for (const auto& one : reports_) keep_report(db_, one.device, one.reported);
}

void SqlIngest::write_device(DeviceWork& device) {
  db_.post(
      "UPDATE devices SET stored=?, lost_quota=?, lost_corrupt=?, lost_vanished=?, lost_poison=?,"
      " epoch_base=?, epoch_produced=?, epoch_accounted=?, streams=?, anomalies_open=?,"
      " record_us=?, open_loss_us=?, elsewhere=? WHERE tenant_no=? AND device_no=?",
      device.stored, device.lost.quota, device.lost.corrupt, device.lost.vanished,
      device.lost.poison, device.epoch_base, device.epoch_produced, device.epoch_accounted,
      device.streams, device.anomalies_open, device.newest_us, device.open_loss_us,
      device.elsewhere, device.numbers.tenant_no, device.numbers.device_no);
  if (device.sync_changed) {
    const auto& sync = device.session.sync;
    db_.post(
        "UPDATE devices SET sync=?, epoch=?, watermark=?, quarantined=?"
        " WHERE tenant_no=? AND device_no=?",
        sync_text(sync), sync.epoch, sync.watermark, !sync.quarantine.empty(),
        device.numbers.tenant_no, device.numbers.device_no);
  }
  if (device.presence_changed) {
    const auto& p = device.presence;
    db_.post(
        "UPDATE devices SET online=?, connection_id=?, last_seen=?,"
        " replica=coalesce(nullif(?, ''), replica) WHERE tenant_no=? AND device_no=?",
        p.online, p.connection_id, to_micros(p.seen), p.replica, device.numbers.tenant_no,
        device.numbers.device_no);
    if (!p.agent_version.empty()) {
      db_.post("UPDATE devices SET agent_version=? WHERE tenant_no=? AND device_no=?",
               p.agent_version, device.numbers.tenant_no, device.numbers.device_no);
    }
    if (p.reported) {
      db_.post(
          "UPDATE devices SET reported_version=?, reported_problem=?"
          " WHERE tenant_no=? AND device_no=?",
          std::min(p.reported->version, kSeqMax), p.reported->problem, device.numbers.tenant_no,
          device.numbers.device_no);
    }
    if (p.status) {
      db_.post(
          "UPDATE devices SET readings_total=?, outbox_records=?, outbox_bytes=?,"
          " quarantined_total=? WHERE tenant_no=? AND device_no=?",
          p.status->readings_total, p.status->outbox_records, p.status->outbox_bytes,
          p.status->quarantined_total, device.numbers.tenant_no, device.numbers.device_no);
    }
  }
}

void SqlIngest::spool(const SpoolRow& row) { add_to_spool(db_, row); }

Result<std::uint64_t> SqlIngest::commit() {
  write_anomalies();
  write_streams();
  write_reports();
  for (auto& [key, device] : devices_) {
    if (device.changed) write_device(device);
  }
  writer_.flush();
  writer_.write_feed(feed_);
  writer_.remember();
  db_.commit();
  if (db_.failed()) return db_.failure();
  open_ = false;
  const auto newest = writer_.feed_newest();
  lock_.unlock();
  return newest;
}

}  // namespace lapwing::hub
