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
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lapwing::hub {

/// The number of one record: what exactly-once goes by.
struct RecordKey {
  reads::DeviceNumbers device;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
};

/// Threads: hold `mutex` while using anything else here.
class Writer {
 public:
  /// A stream's row, as far as taking records in needs it.
  struct Stream {
    std::int64_t stream_no = 0;
    std::string tags;  ///< as stored
  };
  /// By stream name, a zero byte, watch name.
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

  /// Writes what was kept back for a while. Comes after the last change but the feed's.
  virtual void flush() {}
  /// Numbers of the live feed: the first of so many. Readers see them in their order: who has taken
  /// some commits before others get theirs. So this comes last.
  virtual std::int64_t take_feed_seqs(std::int64_t count) = 0;
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
