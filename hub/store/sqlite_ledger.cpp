// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that keeps the account: keys, losses, poison.
#include "hub/store/sqlite_ingest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace lapwing::hub {
namespace {

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
        [&at = at](const sqlite::Row&) { at->second = true; }, device.tenant_no, device.device_no,
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
      [&](const sqlite::Row& row) {
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
        [&](const sqlite::Row& row) { here = row.count(0); }, device.tenant_no, device.device_no,
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
      [&](const sqlite::Row& row) { known.emplace_back(row.count(0), row.count(1)); },
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
          sqlite::Blob{bytes}, to_micros(letter.received_at));
  if (db_.failed()) return db_.failure();
  return {};
}

}  // namespace lapwing::hub
