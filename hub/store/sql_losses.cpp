// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that keeps losses: ranges of numbers. When they fell is next
/// door.
#include "hub/store/sql_ingest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

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

/// Asks in advance what may_be_lost() would ask of the device's epoch; comes after the device's row
/// was locked.
void SqlIngest::read_losses(const DeviceKey& key) {
  db_.later(
      "SELECT d.epoch, (SELECT l.seq_last FROM losses l WHERE l.tenant_no = d.tenant_no"
      " AND l.device_no = d.device_no AND l.epoch = d.epoch ORDER BY l.seq_first DESC LIMIT 1)"
      " FROM devices d WHERE d.tenant_no = (SELECT tenant_no FROM tenants WHERE tenant = ?)"
      " AND d.device = ?",
      [this, key](const sql::Row& row) {
        const auto at = devices_.find(key);
        if (at != devices_.end()) at->second.lost_through.try_emplace(row.count(0), row.count(1));
      },
      key.tenant, key.device);
}

/// Whether a loss range of the epoch may hold `seq`; asks the database once for each epoch.
bool SqlIngest::may_be_lost(DeviceWork& device, std::uint64_t epoch, std::uint64_t seq) {
  const auto [at, fresh] = device.lost_through.try_emplace(epoch, 0);
  if (fresh) {
    db_.rows(
        "SELECT seq_last FROM losses WHERE tenant_no=? AND device_no=? AND epoch=?"
        " ORDER BY seq_first DESC LIMIT 1",
        [&at = at](const sql::Row& row) { at->second = row.count(0); }, device.numbers.tenant_no,
        device.numbers.device_no, epoch);
  }
  return seq <= at->second;
}

/// The range that holds `seq` and of which records are lost.
std::optional<SqlIngest::KnownLoss> SqlIngest::find_loss(DeviceWork& device, std::uint64_t epoch,
                                                         std::uint64_t seq) {
  std::optional<KnownLoss> found;
  if (!may_be_lost(device, epoch, seq)) return found;
  db_.rows(
      "SELECT seq_first, reason, seq_last >= ? AND records > 0 FROM losses WHERE tenant_no=?"
      " AND device_no=? AND epoch=? AND seq_first <= ? ORDER BY seq_first DESC LIMIT 1",
      [&](const sql::Row& row) {
        if (row.integer(2) == 0) return;
        found = KnownLoss{row.count(0), static_cast<wire::LossReason>(row.integer(1))};
      },
      seq, device.numbers.tenant_no, device.numbers.device_no, epoch, seq);
  return found;
}

/// A record said to be lost has come after all: it moves from lost to stored.
void SqlIngest::recover_from_loss(DeviceWork& device, std::uint64_t epoch, const KnownLoss& loss) {
  db_.run(
      "UPDATE losses SET records = records - 1"
      " WHERE tenant_no=? AND device_no=? AND epoch=? AND seq_first=?",
      device.numbers.tenant_no, device.numbers.device_no, epoch, loss.first);
  auto& lost = of_reason(device.lost, loss.reason);
  lost -= std::min<std::uint64_t>(lost, 1);
}

void SqlIngest::add_loss(Storing& s, std::uint64_t first, std::uint64_t last,
                         wire::LossReason reason, std::uint64_t records) {
  db_.run(
      "INSERT INTO losses(tenant_no, device_no, epoch, seq_first, seq_last, reason, records,"
      " received_at) VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
      s.device.numbers.tenant_no, s.device.numbers.device_no, s.epoch, first, last,
      static_cast<int>(reason), records, to_micros(s.received_at));
  auto& through = s.device.lost_through[s.epoch];
  through = std::max(through, last);
}

/// Accounts for the keys of the range that are neither stored nor accounted as lost already.
void SqlIngest::store_loss(Storing& s, const IncomingRecord& record, const wire::LossRecord& loss) {
  auto& device = s.device;
  const auto& sync = device.session.sync;
  auto from = record.seq;
  if (s.epoch == sync.epoch) from = std::max(from, sync.watermark + 1);
  const auto first_new = from;
  std::uint64_t lost = 0;
  const auto take = [&](std::uint64_t first, std::uint64_t last) {
    if (first > last) return;
    const auto here = writer_.keys_through({device.numbers, s.epoch, first}, last);
    const auto missing = last - first + 1 - here;
    lost += missing;
    add_loss(s, first, last, loss.reason, missing);
  };
  std::vector<std::pair<std::uint64_t, std::uint64_t>> known;
  db_.rows(
      "SELECT seq_first, seq_last FROM losses WHERE tenant_no=? AND device_no=? AND epoch=?"
      " AND seq_last >= ? AND seq_first <= ? ORDER BY seq_first",
      [&](const sql::Row& row) { known.emplace_back(row.count(0), row.count(1)); },
      device.numbers.tenant_no, device.numbers.device_no, s.epoch, from, record.seq_last);
  for (const auto& [first, last] : known) {
    if (first > 0) take(from, first - 1);
    from = std::max(from, last + 1);
  }
  take(from, record.seq_last);
  if (follows(s, record.seq, record.seq_last)) open_windows(s, first_new, record.seq_last);
  if (lost == 0) {
    ++s.counts.duplicates;
    return;
  }
  of_reason(device.lost, loss.reason) += lost;
  s.counts.lost += lost;
  tell(s, record);
  if (s.epoch == sync.epoch) {
    device.epoch_accounted += lost;
    device.epoch_produced = std::max(device.epoch_produced, record.seq_last);
  }
}

Result<std::uint64_t> SqlIngest::keep_elsewhere(const DeviceKey& key, std::uint64_t first,
                                                std::uint64_t last) {
  auto& device = work(key);
  if (first == 0 || first > last || last > kSeqMax) {
    return Error{Errc::bad_input, "numbers kept elsewhere: beyond 2^62 or turned round"};
  }
  const auto here = writer_.keys_through({device.numbers, device.session.sync.epoch, first}, last);
  if (db_.failed()) return db_.failure();
  device.epoch_produced = std::max(device.epoch_produced, last);
  // Of live copies so old that their keys are no longer kept the account knows still.
  const auto open = device.epoch_produced - device.epoch_base;
  const auto records =
      std::min(last - first + 1 - here, open - std::min(open, device.epoch_accounted));
  device.elsewhere += records;
  device.epoch_accounted += records;
  device.changed = true;
  return records;
}

}  // namespace lapwing::hub
