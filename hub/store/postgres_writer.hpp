// SPDX-License-Identifier: Apache-2.0
/// How records are taken in on PostgreSQL: what grows by the record is gathered in memory and
/// copied in at the end of the transaction; a device's row is locked against other replicas.
#pragma once

#include "hub/store/postgres_partitions.hpp"
#include "hub/store/writer.hpp"
#include "shared/postgres/connection.hpp"
#include "shared/postgres/copy_rows.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lapwing::hub {

class PostgresWriter final : public Writer {
 public:
  /// `partitions` must outlive it.
  PostgresWriter(std::unique_ptr<postgres::Connection> connection, Partitions& partitions);

  void forget() override;
  [[nodiscard]] std::string_view locking() const override { return " FOR UPDATE"; }
  bool add_key(const RecordKey& key, int record_class, std::uint64_t hash, bool newest,
               Time received_at) override;
  std::uint64_t keys_through(const RecordKey& key, std::uint64_t last) override;
  std::optional<std::uint64_t> key_hash(const RecordKey& key) override;
  void add_point(const reads::DeviceNumbers& device, std::int64_t stream_no,
                 const wire::SummaryRecord& summary, Time received_at) override;
  std::int64_t next_dead_letter() override;
  void flush() override;
  void find_anomalies(std::span<const AnomalyKey> keys,
                      std::vector<std::optional<KnownAnomaly>>& found) override;
  void write_anomalies(std::span<AnomalyChange> changes) override;
  void write_streams(std::span<const StreamChange> changes) override;
  void write_feed(std::span<const FeedStep> steps) override;
  std::int64_t number_feed(sql::Connection& change, std::int64_t count) override;
  [[nodiscard]] std::uint64_t feed_newest() const override { return feed_newest_; }

 private:
  /// Consecutive numbers that are not written yet.
  struct Run {
    std::int64_t received_at = 0;
    std::uint64_t epoch = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::string classes;
    std::string hashes;
  };
  struct Stretch {
    std::uint64_t epoch = 0;
    std::uint64_t first = 1;
    std::uint64_t last = 0;
    [[nodiscard]] bool has(const RecordKey& key) const {
      return epoch == key.epoch && first <= key.seq && key.seq <= last;
    }
  };
  struct DeviceKeys {
    Run run;
    std::vector<Stretch> closed;  ///< runs of this transaction
    /// Around the number that was asked for last, the runs above aside: all there, or none.
    Stretch asked;
    bool asked_there = false;
  };
  /// By tenant and device number.
  using Keys = std::map<std::pair<std::int64_t, std::int64_t>, DeviceKeys>;

  [[nodiscard]] postgres::Connection& postgres() const {
    return static_cast<postgres::Connection&>(db());
  }
  DeviceKeys& keys_of(const reads::DeviceNumbers& device);
  void insert_anomalies(std::span<AnomalyChange> changes);
  void update_anomalies(std::span<const AnomalyChange> changes);
  void close_run(const reads::DeviceNumbers& device, DeviceKeys& keys);
  void write_keys();
  void copy_ledger();
  void copy_history();
  bool is_there(const RecordKey& key);
  void make_room(Time received_at);

  Partitions& partitions_;
  postgres::CopyRows ledger_;
  postgres::CopyRows history_;
  Keys keys_;
  Keys::value_type* last_keys_ = nullptr;  ///< of the device that was asked for last; in keys_
  std::uint64_t feed_newest_ = 0;
  std::optional<std::int64_t> room_day_;  ///< its partitions are there
};

}  // namespace lapwing::hub
