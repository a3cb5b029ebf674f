// SPDX-License-Identifier: Apache-2.0
/// The part of the ingest transaction that keeps the account: keys and poison. Losses are next
/// door.
#include "hub/store/sql_ingest.hpp"
#include "shared/sync/hub.hpp"

#include <algorithm>
#include <utility>

namespace lapwing::hub {
namespace {

/// The ledger's class of a record that could not be read.
constexpr int kPoisonClass = 0;

}  // namespace

/// Keeps the key, once; false when the hub has the record. Keeps the epoch's account.
bool SqlIngest::take_key(Storing& s, std::uint64_t seq, int record_class, std::uint64_t hash) {
  auto& device = s.device;
  const auto& sync = device.session.sync;
  const auto loss = find_loss(device, s.epoch, seq);
  const bool current = s.epoch == sync.epoch;
  // At or below the watermark everything is accounted for; only a lost record may still turn up.
  if (current && seq <= sync.watermark && !loss) return false;
  const bool newest = current && seq > std::max(sync::newest_seq(sync), device.keys_through);
  if (!writer_.add_key({device.numbers, s.epoch, seq}, record_class, hash, newest, s.received_at)) {
    return false;
  }
  if (current) device.keys_through = std::max(device.keys_through, seq);
  if (loss) {
    recover_from_loss(device, s.epoch, *loss);
  } else if (current) {
    ++device.epoch_accounted;
    device.epoch_produced = std::max(device.epoch_produced, seq);
  }
  return true;
}

Result<void> SqlIngest::dead_letter(const DeviceKey& key, const DeadLetter& letter) {
  auto& device = work(key);
  device.changed = true;
  if (letter.epoch != 0) {
    if (letter.epoch > kSeqMax || letter.seq > kSeqMax) {
      return Error{Errc::bad_input, "sequence number beyond 2^62"};
    }
    StoredCounts counts;
    Storing storing{key, device, letter.epoch, letter.received_at, counts};
    const bool in_order = follows(storing, letter.seq, letter.seq);
    const auto lost = find_loss(device, letter.epoch, letter.seq);
    // Lost for another reason: accounted for already, only the bytes are news.
    bool known = lost && lost->reason == wire::LossReason::poison;
    if (!lost) known = !take_key(storing, letter.seq, kPoisonClass, letter.hash);
    if (!lost && !known) {
      ++device.lost.poison;
      add_loss(storing, letter.seq, letter.seq, wire::LossReason::poison, 1);
      const wire::RecordBody body =
          wire::LossRecord{wire::LossReason::poison, letter.seq, letter.seq};
      tell(storing, {letter.seq, letter.seq, wire::RecordClass::loss, letter.hash, &body});
    }
    if (in_order) open_windows(storing, letter.seq, letter.seq);
    if (db_.failed()) return db_.failure();
    if (known) return {};  // it was kept the first time
  }
  const std::string_view bytes(letter.bytes.data(),
                               std::min(letter.bytes.size(), kDeadLetterBytesMax));
  db_.run("INSERT INTO dead_letters VALUES(?,?,?,?,?,?,?,?)", device.numbers.tenant_no,
          writer_.next_dead_letter(), device.device, letter.epoch, letter.seq, letter.reason,
          sql::Blob{bytes}, to_micros(letter.received_at));
  if (db_.failed()) return db_.failure();
  return {};
}

}  // namespace lapwing::hub
