// SPDX-License-Identifier: Apache-2.0
/// From waiting messages to a committed transaction and the answers that follow it. No MQTT here.
#pragma once

#include "hub/ingest/config.hpp"
#include "hub/ingest/queue.hpp"
#include "hub/ingest/tap.hpp"
#include "hub/store/ingest_transaction.hpp"
#include "hub/store/store.hpp"
#include "shared/base/metrics.hpp"
#include "shared/wire/frame.hpp"
#include "shared/wire/topics.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapwing::hub {

/// A message to a device, sealed and ready to publish.
struct Answer {
  std::string topic;
  std::string payload;
};

/// What came of a span of messages.
struct Taken {
  std::size_t messages = 0;     ///< taken from the front of the span; the rest is for the next call
  std::vector<Answer> answers;  ///< to be published now: everything they say is committed
  std::uint64_t feed_newest = 0;
  bool feed_grew = false;
  bool hellos = false;  ///< a device said hello: there may be something for it
  std::vector<std::pair<DeviceKey, wire::CommandResult>> results;  ///< answers to commands
};

/// Opens frames, decides with shared/sync, stores many devices' batches in one transaction.
///
/// Trust: the topic's identity is what the broker's ACL let the certificate write; it counts only
///   for devices that are registered and not revoked. The bytes are not trusted at all: what
///   cannot be read becomes a dead letter and a counter.
/// Crash safety: answers exist only after COMMIT; a crash before it leaves nothing, one after it
///   makes agents send again what is then recognised.
/// Threads: one object belongs to one thread.
class BatchStore {
 public:
  /// Borrows `store` and `metrics`, which must outlive it. `lane`: of the store; who takes in
  /// another lane counts in the same metrics.
  /// `taps`, which must outlive it too, follow every transaction; null: nobody does.
  BatchStore(Store& store, const IngestConfig& config, Metrics& metrics, std::size_t lane = 0,
             RecordTaps* taps = nullptr);

  /// Takes messages from the front until `commit_records_max` records are in the transaction.
  /// Errors: io, corrupt: nothing was stored and no answer may be given; the messages can be
  /// dropped,
  ///   devices send again.
  Result<Taken> take(std::span<const UpMessage> messages);

  /// The standing acknowledgement of every device of the lane that is online through this replica's
  /// broker: told when the hub comes back, so that agents go on at once instead of waiting for a
  /// timeout.
  Result<std::vector<Answer>> standing_acks();

 private:
  struct Round;
  struct Counters {
    Counter& anomalies;
    Counter& summaries;
    Counter& other;
    Counter& duplicates;
    Counter& lost;
    Counter& batches;
    Counter& live;
    Counter& hellos;
    Counter& statuses;
    Counter& late_wills;
    Counter& dead_letters;
    Counter& refused_topic;
    Counter& refused_device;
    Counter& refused_revoked;
    Counter& refused_bytes;
    Counter& refused_channel;
    Counter& alerts;
    Histogram& commit_seconds;
    Histogram& commit_records;
  };

  Result<void> take_one(Round& round, const UpMessage& message);
  Result<void> hello(Round& round, const DeviceKey& key, std::string_view body, Time at);
  Result<void> records(Round& round, const DeviceKey& key, std::string_view body, Time at);
  Result<void> live(Round& round, const DeviceKey& key, std::string_view body, Time at);
  Result<void> result(Round& round, const DeviceKey& key, std::string_view body, Time at);
  Result<void> status(Round& round, const DeviceKey& key, std::string_view body, Time at);
  Result<void> store_entries(Round& round, const DeviceKey& key, const wire::RecordBatch& batch,
                             std::span<const std::size_t> wanted, Time at);
  Result<void> unreadable(Round& round, const DeviceKey& key, const Error& error,
                          std::string_view bytes, Time at);
  void refuse_stranger(Round& round, const wire::ParsedTopic& topic, std::string_view body,
                       const std::string& reason, Time at);
  Answer seal(const wire::Identity& identity, wire::Channel channel, std::string_view body);
  void count(const Round& round, double seconds);

  Store& store_;
  std::size_t lane_;
  RecordTaps* taps_;
  IngestConfig config_;
  Counters counters_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
};

}  // namespace lapwing::hub
