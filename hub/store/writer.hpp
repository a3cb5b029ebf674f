// SPDX-License-Identifier: Apache-2.0
/// The connection that takes records in, what it remembers between transactions, and what each
/// engine does there in its own way. All else is SQL that every engine understands.
#pragma once

#include "hub/store/reads.hpp"
#include "shared/base/time.hpp"
#include "shared/sql/connection.hpp"
#include "shared/wire/messages.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// The number of one record: what exactly-once goes by.
struct RecordKey {
  reads::DeviceNumbers device;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
};

/// What a device calls one anomaly.
struct AnomalyKey {
  reads::DeviceNumbers device;
  std::uint64_t id = 0;
};

/// How far the hub knows an anomaly.
struct KnownAnomaly {
  std::int64_t anomaly_no = 0;
  int phase = 0;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
};

/// An anomaly as its newest step says. Borrows what it points to.
struct AnomalyChange {
  std::int64_t anomaly_no = 0;  ///< 0: a new one
  reads::DeviceNumbers device;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  const wire::AnomalyRecord* record = nullptr;
  std::int64_t received_us = 0;  ///< of its first step here
  std::int64_t updated_us = 0;
};

/// What records of one transaction say about a stream.
struct StreamChange {
  reads::DeviceNumbers device;
  std::int64_t stream_no = 0;
  bool seen = false;    ///< the latest values below are known
  bool newest = false;  ///< of a record newer than every one before: what it says stands
  std::int64_t last_time = 0;
  double last_value = wire::kUnknown;
  wire::Band band;
  double last_score = wire::kUnknown;
  std::int64_t open_change = 0;  ///< of its open anomalies
};

/// An anomaly that changed, as the live feed tells it.
struct FeedStep {
  std::int64_t tenant_no = 0;
  std::int64_t anomaly_no = 0;
  int phase = 0;
};

/// Threads: hold `mutex` while using anything else here.
class Writer {
 public:
  /// A stream's row, as far as taking records in needs it.
  struct Stream {
    std::int64_t stream_no = 0;
    std::string tags;  ///< as stored
    /// The stream of the device that came after this one last time: devices tell of their streams
    /// in turn, so that most need not be looked up. Null: not known.
    std::pair<const std::string, Stream>* next = nullptr;
  };
  /// By stream name, a zero byte, watch name. Never loses one but all.
  using Streams = std::unordered_map<std::string, Stream>;

  virtual ~Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::mutex mutex;
  [[nodiscard]] sql::Connection& db() const { return *connection_; }

  /// Which numbers streams have, by device. Another replica may have added some: a device whose
  /// count of streams is another is read again.
  struct StreamCache {
    std::map<std::int64_t, Streams> of_device;
    std::size_t streams = 0;
    std::size_t streams_max = 500'000;  ///< beyond it all are forgotten and read again
    void clear() {
      of_device.clear();
      streams = 0;
    }
  };
  StreamCache stream_cache;

  /// After a rollback: drops what the transaction may have put into caches and counters.
  virtual void forget() { stream_cache.clear(); }

  /// Put behind a SELECT of rows that the transaction is going to change.
  [[nodiscard]] virtual std::string_view locking() const = 0;

  /// Keeps the record's number; false: it is there already. `newest`: it is above all of the
  /// device's numbers in this epoch.
  virtual bool add_key(const RecordKey& key, int record_class, std::uint64_t hash, bool newest,
                       Time received_at) = 0;
  /// Numbers kept from key.seq to `last`.
  virtual std::uint64_t keys_through(const RecordKey& key, std::uint64_t last) = 0;
  virtual std::optional<std::uint64_t> key_hash(const RecordKey& key) = 0;

  /// One point of a stream's history; a point that begins with one that is there changes nothing.
  virtual void add_point(const reads::DeviceNumbers& device, std::int64_t stream_no,
                         const wire::SummaryRecord& summary, Time received_at) = 0;

  virtual std::int64_t next_dead_letter() = 0;

  /// Finds each key's anomaly: appends to `found` as many as there are keys, in their order.
  virtual void find_anomalies(std::span<const AnomalyKey> keys,
                              std::vector<std::optional<KnownAnomaly>>& found) = 0;
  /// Makes those without a number, and sets it; changes the others. Each anomaly once.
  virtual void write_anomalies(std::span<AnomalyChange> changes) = 0;
  /// Each stream once.
  virtual void write_streams(std::span<const StreamChange> changes) = 0;

  /// Writes what was kept back for a while. Comes after the last change but the feed's.
  virtual void flush() {}
  /// Appends to the live feed and numbers the steps. Readers see numbers in their order: who has
  /// taken some commits before others get theirs. So this comes last.
  virtual void write_feed(std::span<const FeedStep> steps) = 0;
  /// Numbers of the live feed for a change outside of taking records in, on the connection of that
  /// change: the first of so many. Likewise last.
  virtual std::int64_t number_feed(sql::Connection& change, std::int64_t count) = 0;
  /// Before COMMIT: writes down what is counted here.
  virtual void remember() {}
  /// The newest number of the live feed that was given out here.
  [[nodiscard]] virtual std::uint64_t feed_newest() const = 0;

 protected:
  explicit Writer(std::unique_ptr<sql::Connection> connection)
      : connection_(std::move(connection)) {}

 private:
  std::unique_ptr<sql::Connection> connection_;
};

}  // namespace lapwing::hub
