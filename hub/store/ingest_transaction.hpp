// SPDX-License-Identifier: Apache-2.0
/// The one transaction in which ingest stores what many devices sent.
#pragma once

#include "hub/store/spool.hpp"
#include "hub/store/store.hpp"
#include "shared/base/result.hpp"
#include "shared/base/time.hpp"
#include "shared/sync/hub.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// What ingest must know of a device before it decides.
struct DeviceSession {
  bool revoked = false;
  sync::DeviceSyncState sync;  ///< as last saved; default-constructed before the first hello
  bool online = false;
  std::string connection_id;  ///< of the connection that is online, or was last
};

/// One record to store. Borrowed for the call.
struct IncomingRecord {
  std::uint64_t seq = 0;
  std::uint64_t seq_last = 0;  ///< above seq only for a loss record
  wire::RecordClass record_class = wire::RecordClass::anomaly;
  std::uint64_t hash = 0;  ///< of the payload bytes, as the sync protocol hashes them
  const wire::RecordBody* body = nullptr;  ///< never null; see poison()
};

/// What became of a batch, in records.
struct StoredCounts {
  std::uint64_t stored = 0;
  std::uint64_t duplicates = 0;  ///< keys the hub had: changed nothing
  std::uint64_t lost = 0;        ///< newly accounted as lost by loss records
  std::uint64_t anomalies =
      0;  ///< steps of anomalies; one older than what is known changes nothing
  std::uint64_t summaries = 0;
};

/// The settings a device runs with (see Commands::desire).
struct ReportedSettings {
  std::uint64_t version = 0;
  std::string problem;
};

/// Whether the device is connected, and what it says of itself.
struct Presence {
  bool online = true;
  std::string connection_id;
  Time seen{};                         ///< hub time
  std::string agent_version;           ///< empty: keep the old one
  std::uint64_t produced_seq = 0;      ///< highest seq committed at the device, as far as it told
  std::optional<wire::Status> status;  ///< figures to remember; absent: keep the old ones
  std::string replica;                 ///< whose broker it is connected to; empty: keep the old one
  std::optional<ReportedSettings> reported;  ///< absent: keep what is known
};

/// A record or frame that could not be read.
struct DeadLetter {
  std::uint64_t epoch = 0;  ///< 0: the frame itself was unreadable, no record is accounted
  std::uint64_t seq = 0;
  std::uint64_t hash = 0;
  std::string reason;
  std::string bytes;  ///< cut to 4 KiB
  Time received_at{};
};

/// Everything here happens together at commit(), or not at all.
///
/// Errors: after any failure but not_found the transaction is dead: destroy it, nothing was stored;
///   devices send unacknowledged records again.
/// Threads: one object belongs to the thread that began it.
/// Cost: in memory and page cache until commit(), which waits for the disk (fsync).
/// Locks: on an engine with several writers device() locks the device's row until the end.
class IngestTransaction {
 public:
  /// Without commit(), rolls back.
  virtual ~IngestTransaction() = default;
  IngestTransaction(const IngestTransaction&) = delete;
  IngestTransaction& operator=(const IngestTransaction&) = delete;

  /// Reads these devices, and on an engine with several writers locks them, all at once: best done
  /// first, since two transactions that lock the same devices one by one may stop each other.
  /// Unknown ones are passed over.
  virtual Result<void> lock(std::span<const DeviceKey> keys) = 0;
  /// The device as of this transaction. not_found: it was never registered (the transaction lives
  /// on). Must be called for a device before anything below is.
  virtual Result<DeviceSession> device(const DeviceKey& key) = 0;
  /// The hash of the record stored under this key; nullopt: not stored, or no longer kept.
  virtual Result<std::optional<std::uint64_t>> record_hash(const DeviceKey& key,
                                                           std::uint64_t epoch,
                                                           std::uint64_t seq) = 0;
  /// Remembers what the sync protocol decided: epoch, watermark, histories. Moves the ledger's
  /// `produced` up to the watermark at least.
  virtual Result<void> save_sync(const DeviceKey& key, const sync::DeviceSyncState& state) = 0;
  /// Accounts for those numbers `first`..`last` of the current epoch that are not here: other
  /// regions have them (sync::HelloDecision). Before save_sync moves the watermark to `last`. How
  /// many they were.
  virtual Result<std::uint64_t> keep_elsewhere(const DeviceKey& key, std::uint64_t first,
                                               std::uint64_t last) = 0;
  virtual Result<void> save_presence(const DeviceKey& key, const Presence& presence) = 0;

  /// The sync state that is saved before the end lies, by its watermark or as the newest live copy,
  /// at or above every number stored in its epoch.
  ///
  /// Stores records of one epoch by key, each exactly once, and keeps anomalies, streams, history
  /// and feed in step. Holds for live copies and for batches in order alike; loss records account
  /// for the keys of their range that the hub does not have. Records, losses and dead letters of
  /// one batch are to be given in the order of their numbers: the windows of losses follow from it.
  virtual Result<StoredCounts> store(const DeviceKey& key, std::uint64_t epoch, Time received_at,
                                     std::span<const IncomingRecord> records) = 0;
  /// Keeps what could not be read and, for a record, accounts it as lost by poison (once by key,
  /// not when it is lost already): a loss of one.
  virtual Result<void> dead_letter(const DeviceKey& key, const DeadLetter& letter) = 0;

  /// Told of each record that store() keeps for the first time, in its order, and of each loss of
  /// which records are news, those that could not be read included. Borrowed for the call.
  using Watch = std::function<void(const DeviceKey&, std::uint64_t epoch, Time received_at,
                                   const IncomingRecord&)>;
  /// Set before the first record.
  virtual void watch(Watch watch) = 0;
  /// Lets a record wait for a sink, from commit() on. A failure shows at commit().
  virtual void spool(const SpoolRow& row) = 0;

  /// Every device said to be online through this replica's broker, or through one that was not
  /// told, of all tenants, with its sync state, at most `limit`.
  virtual Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> online_devices(
      std::string_view replica, std::size_t limit) = 0;

  /// Durable when it returns. Afterwards only destruction is allowed. The newest feed seq.
  virtual Result<std::uint64_t> commit() = 0;

 protected:
  IngestTransaction() = default;
};

inline Result<std::unique_ptr<IngestTransaction>> Store::begin_ingest() { return begin_ingest(0); }

}  // namespace lapwing::hub
