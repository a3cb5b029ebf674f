// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that keeps the account: keys and poison. Losses are next
/// door.
#include "hub/store/sqlite_ingest.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

/// The ledger's class of a record that could not be read.
constexpr int kPoisonClass = 0;

}  // namespace

/// Writes the key, once; false when the hub has the record. Keeps the epoch's account.
bool SqliteIngest::take_key(Storing& s, std::uint64_t seq, int record_class, std::uint64_t hash) {
  auto& device = s.device;
  const auto& sync = device.session.sync;
  const bool lossy = may_be_lost(device, s.epoch, seq);
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

Result<void> SqliteIngest::dead_letter(const DeviceKey& key, const DeadLetter& letter) {
  auto& device = work(key);
  device.changed = true;
  if (letter.epoch != 0) {
    if (letter.epoch > kSeqMax || letter.seq > kSeqMax) {
      return Error{Errc::bad_input, "sequence number beyond 2^62"};
    }
    StoredCounts counts;
    Storing storing{device, letter.epoch, letter.received_at, counts};
    const bool in_order = follows(storing, letter.seq, letter.seq);
    const auto lost = find_loss(device, letter.epoch, letter.seq);
    // Lost for another reason: accounted for already, only the bytes are news.
    bool known = lost && lost->reason == wire::LossReason::poison;
    if (!lost) known = !take_key(storing, letter.seq, kPoisonClass, letter.hash);
    if (!lost && !known) {
      ++device.lost.poison;
      add_loss(storing, letter.seq, letter.seq, wire::LossReason::poison, 1);
    }
    if (in_order) open_windows(storing, letter.seq, letter.seq);
    if (db_.failed()) return db_.failure();
    if (known) return {};  // it was kept the first time
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
