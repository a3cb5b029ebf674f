// SPDX-License-Identifier: Apache-2.0
/// The store, as far as it is SQL that every engine understands.
#pragma once

#include "hub/store/readers.hpp"
#include "hub/store/reads.hpp"
#include "hub/store/retention.hpp"
#include "hub/store/store.hpp"
#include "hub/store/writer.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace lapwing::hub {

class SqlStore : public Store {
 public:
  Result<std::unique_ptr<IngestTransaction>> begin_ingest() override;
  Result<std::uint64_t> mark_silent_offline(Time silent_since) override;

  Result<void> register_device(const DeviceRegistration& registration) override;
  Result<void> revoke_device(const DeviceKey& key, Time at) override;
  Result<void> release_quarantine(const DeviceKey& key) override;
  Result<DeviceRow> device(const DeviceKey& key) override {
    return readers_.lend([&](auto& db) { return reads::device(db, key); });
  }
  Result<Page<DeviceRow>> devices(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::devices(db, tenant, page); });
  }
  Result<Ledger> ledger(const DeviceKey& key) override {
    auto row = device(key);
    if (!row) return row.error();
    return row->ledger;
  }

  Result<Page<StreamRow>> streams(const DeviceKey& key, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::streams(db, key, page); });
  }
  Result<Page<LossRow>> losses(const DeviceKey& key, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::losses(db, key, page); });
  }
  Result<History> history(const DeviceKey& key, const HistoryQuery& query) override {
    return readers_.lend([&](auto& db) { return reads::history(db, open_stream_, key, query); });
  }
  Result<Page<AnomalyRow>> anomalies(std::string_view tenant, const AnomalyFilter& filter,
                                     const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::anomalies(db, tenant, filter, page); });
  }
  Result<AnomalyRow> anomaly(const DeviceKey& key, std::uint64_t id) override {
    return readers_.lend([&](auto& db) { return reads::anomaly(db, key, id); });
  }
  Result<std::vector<FeedRow>> feed(std::string_view tenant, const FeedQuery& query) override {
    return readers_.lend([&](auto& db) { return reads::feed(db, tenant, query); });
  }
  Result<FeedBounds> feed_bounds(std::string_view tenant) override {
    return readers_.lend([&](auto& db) { return reads::feed_bounds(db, tenant); });
  }
  Result<Page<DeadLetterRow>> dead_letters(std::string_view tenant,
                                           const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::dead_letters(db, tenant, page); });
  }

  Result<void> add_token(const TokenRow& token) override;
  Result<TokenRow> token_by_hash(std::string_view hash) override {
    return readers_.lend([&](auto& db) { return reads::token_by_hash(db, hash); });
  }
  Result<Page<TokenRow>> tokens(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::tokens(db, tenant, page); });
  }
  Result<void> revoke_token(std::string_view tenant, std::string_view id, Time at) override;
  Result<void> add_enrolment(const EnrolmentRow& enrolment) override;
  Result<EnrolmentRow> consume_enrolment(std::string_view hash, Time at) override;

  Result<void> add_audit(const AuditRow& row) override;
  Result<Page<AuditRow>> audit(std::string_view tenant, const PageRequest& page) override {
    return readers_.lend([&](auto& db) { return reads::audit(db, tenant, page); });
  }
  Result<StoreTotals> totals() override {
    return readers_.lend([&](auto& db) -> Result<StoreTotals> {
      auto totals = reads::totals(db);
      if (totals) totals->bytes = bytes_on_disk(db);
      if (db.failed()) return db.failure();
      return totals;
    });
  }
  Result<void> check() override;

 protected:
  /// `changes`: a connection for what people change; null: they share the writer's and its mutex.
  SqlStore(std::unique_ptr<Writer> writer, std::unique_ptr<sql::Connection> changes,
           reads::OpenStream open_stream)
      : writer_(std::move(writer)),
        changes_(std::move(changes)),
        open_stream_(std::move(open_stream)) {}

  [[nodiscard]] Writer& writer() { return *writer_; }
  void add_reader(std::unique_ptr<sql::Connection> connection) {
    readers_.add(std::move(connection));
  }

  /// Within a transaction of `changes`: one such is under way at a time, over all replicas.
  virtual void serialize(sql::Connection&) {}
  virtual std::uint64_t bytes_on_disk(sql::Connection& db) = 0;

 private:
  /// Runs `change` as one durable transaction. It sees a connection and returns a Result; a Result
  /// that is an error, or a failed statement, rolls everything back.
  template <class Change>
  auto change(Change&& change) -> decltype(change(std::declval<sql::Connection&>()));

  std::unique_ptr<Writer> writer_;
  std::mutex changes_mutex_;
  std::unique_ptr<sql::Connection> changes_;
  reads::OpenStream open_stream_;
  Readers readers_;
};

}  // namespace lapwing::hub
