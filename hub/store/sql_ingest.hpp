// SPDX-License-Identifier: Apache-2.0
/// The ingest transaction, on every engine.
#pragma once

#include "hub/store/ingest_transaction.hpp"
#include "hub/store/sql_targets.hpp"
#include "hub/store/writer.hpp"
#include "shared/sql/connection.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// Streams of one device the hub keeps; records of further ones are stored, without row and
/// history.
inline constexpr std::int64_t kStreamsPerDeviceMax = 100'000;
/// Sequence numbers and epochs above this are refused as hostile.
inline constexpr std::uint64_t kSeqMax = std::uint64_t{1} << 62U;
inline constexpr std::size_t kDeadLetterBytesMax = 4096;

class SqlIngest final : public IngestTransaction {
 public:
  /// Takes the writer's lock and begins.
  static Result<std::unique_ptr<IngestTransaction>> begin(Writer& writer);
  ~SqlIngest() override;

  Result<void> lock(std::span<const DeviceKey> keys) override;
  Result<DeviceSession> device(const DeviceKey& key) override;
  Result<std::optional<std::uint64_t>> record_hash(const DeviceKey& key, std::uint64_t epoch,
                                                   std::uint64_t seq) override;
  Result<std::vector<std::pair<DeviceKey, sync::DeviceSyncState>>> online_devices(
      std::string_view replica, std::size_t limit) override;
  Result<void> save_sync(const DeviceKey& key, const sync::DeviceSyncState& state) override;
  Result<std::uint64_t> keep_elsewhere(const DeviceKey& key, std::uint64_t first,
                                       std::uint64_t last) override;
  Result<void> save_presence(const DeviceKey& key, const Presence& presence) override;
  Result<StoredCounts> store(const DeviceKey& key, std::uint64_t epoch, Time received_at,
                             std::span<const IncomingRecord> records) override;
  Result<void> dead_letter(const DeviceKey& key, const DeadLetter& letter) override;
  void watch(Watch watch) override { watch_ = std::move(watch); }
  void spool(const SpoolRow& row) override;
  Result<std::uint64_t> commit() override;

 private:
  /// A device as this transaction changes it; written once at commit.
  struct DeviceWork {
    reads::DeviceNumbers numbers;
    std::string device;
    DeviceSession session;
    Presence presence;
    bool presence_changed = false;
    bool sync_changed = false;
    bool changed = false;
    std::uint64_t stored = 0;
    Losses lost;
    std::uint64_t elsewhere = 0;
    std::uint64_t epoch_base = 0;
    std::uint64_t epoch_produced = 0;
    std::uint64_t epoch_accounted = 0;
    std::int64_t streams = 0;
    std::int64_t anomalies_open = 0;
    std::map<std::uint64_t, std::uint64_t> lost_through;  ///< by epoch: the highest lost seq
    std::uint64_t keys_through = 0;  ///< highest number of the epoch taken here
    std::uint64_t frontier = 0;      ///< up to here the epoch's records were seen in unbroken order
    std::optional<std::int64_t> newest_us;  ///< time of the newest record in order, of any epoch
    /// The earliest begin of a loss without an end (the least number: unknown); absent: there is
    /// none.
    std::optional<std::int64_t> open_loss_us;
    /// What this transaction says about streams; written once at commit. Found by stream_work_at,
    /// by the stream's number: the place in it, from 1 on.
    std::vector<StreamChange> stream_work;
    std::vector<std::uint32_t> stream_work_at;
    Writer::Streams::value_type* last_stream = nullptr;  ///< in known_streams
    Writer::Streams* known_streams = nullptr;
  };
  /// What every step of storing one record needs.
  struct Storing {
    const DeviceKey& key;
    DeviceWork& device;
    std::uint64_t epoch;
    Time received_at;
    StoredCounts& counts;
  };

  SqlIngest(Writer& writer, std::unique_lock<std::mutex> lock);

  DeviceWork& work(const DeviceKey& key);
  void read_device(const DeviceKey& key);
  void read_losses(const DeviceKey& key);
  void tell(const Storing& s, const IncomingRecord& record) const {
    if (watch_) watch_(s.key, s.epoch, s.received_at, record);
  }
  bool take_key(Storing& s, std::uint64_t seq, int record_class, std::uint64_t hash);
  void store_record(Storing& s, const IncomingRecord& record);

  struct KnownLoss {
    std::uint64_t first = 0;
    wire::LossReason reason = wire::LossReason::quota;
  };
  bool may_be_lost(DeviceWork& device, std::uint64_t epoch, std::uint64_t seq);
  std::optional<KnownLoss> find_loss(DeviceWork& device, std::uint64_t epoch, std::uint64_t seq);
  void recover_from_loss(DeviceWork& device, std::uint64_t epoch, const KnownLoss& loss);
  void store_loss(Storing& s, const IncomingRecord& record, const wire::LossRecord& loss);
  void add_loss(Storing& s, std::uint64_t first, std::uint64_t last, wire::LossReason reason,
                std::uint64_t records);

  static bool follows(Storing& s, std::uint64_t seq, std::uint64_t seq_last);
  void note_time(Storing& s, const IncomingRecord& record);
  void open_windows(Storing& s, std::uint64_t first, std::uint64_t last);
  void close_windows(Storing& s, std::uint64_t seq, std::int64_t time_us);

  void store_anomaly(Storing& s, const IncomingRecord& record, const wire::AnomalyRecord& anomaly);
  void store_report(const Storing& s, const IncomingRecord& record,
                    const wire::ModelReport& report);
  void store_summary(Storing& s, const IncomingRecord& record, const wire::SummaryRecord& summary);
  std::int64_t stream_number(DeviceWork& device, const std::string& stream,
                             const std::string& watch, const std::vector<wire::Tag>& tags);
  static StreamChange& stream_change(DeviceWork& device, std::int64_t stream_no);
  void load_streams(DeviceWork& device);
  void write_device(DeviceWork& device);
  void write_anomalies();
  void write_reports();
  void write_streams();

  Writer& writer_;
  std::unique_lock<std::mutex> lock_;
  sql::Connection& db_;
  std::map<DeviceKey, DeviceWork> devices_;
  /// One step in an anomaly's life that is not written yet.
  struct AnomalyStep {
    DeviceWork* device;
    std::uint64_t epoch;
    std::uint64_t seq;
    std::int64_t received_us;
    std::int64_t stream_no;
    wire::AnomalyRecord record;
  };
  std::vector<AnomalyStep> steps_;  ///< bounded
  std::size_t step_bytes_ = 0;
  /// What a device said of a model, not written yet.
  struct ReportStep {
    const DeviceKey* key;  ///< in devices_
    reads::DeviceNumbers device;
    ReportedModel reported;
  };
  std::vector<ReportStep> reports_;  ///< no more than the transaction has records
  Watch watch_;
  std::vector<FeedStep> feed_;  ///< numbered at the end
  std::string stream_key_;      ///< reused
  bool open_ = true;            ///< neither committed nor rolled back
};

}  // namespace lapwing::hub
