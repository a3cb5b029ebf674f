// SPDX-License-Identifier: Apache-2.0
/// How records are taken in on SQLite: at once, row by row; its transactions are cheap, and nobody
/// else writes.
#pragma once

#include "hub/store/writer.hpp"

namespace lapwing::hub {

class SqliteWriter final : public Writer {
 public:
  /// Reads the counters.
  explicit SqliteWriter(std::unique_ptr<sql::Connection> connection);

  void forget() override;
  [[nodiscard]] std::string_view locking() const override { return {}; }
  bool add_key(const RecordKey& key, int record_class, std::uint64_t hash, bool newest,
               Time received_at) override;
  std::uint64_t keys_through(const RecordKey& key, std::uint64_t last) override;
  std::optional<std::uint64_t> key_hash(const RecordKey& key) override;
  void add_point(const reads::DeviceNumbers& device, std::int64_t stream_no,
                 const wire::SummaryRecord& summary, Time received_at) override;
  std::int64_t next_dead_letter() override { return ++dead_letter_number_; }
  void find_anomalies(std::span<const AnomalyKey> keys,
                      std::vector<std::optional<KnownAnomaly>>& found) override;
  void write_anomalies(std::span<AnomalyChange> changes) override;
  void write_streams(std::span<const StreamChange> changes) override;
  void write_feed(std::span<const FeedStep> steps) override;
  std::int64_t number_feed(sql::Connection& change, std::int64_t count) override;
  void remember() override;
  [[nodiscard]] std::uint64_t feed_newest() const override {
    return static_cast<std::uint64_t>(feed_seq_);
  }

  /// Of the history, as trimming keeps it.
  [[nodiscard]] std::int64_t history_rows() const { return history_rows_; }
  void history_shrank(std::int64_t rows);

 private:
  void remember(std::string_view key, std::int64_t value);

  std::int64_t feed_seq_ = 0;      ///< newest given out
  std::int64_t history_rows_ = 0;  ///< stored
  std::int64_t dead_letter_number_ = 0;
};

}  // namespace lapwing::hub
