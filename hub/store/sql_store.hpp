// SPDX-License-Identifier: Apache-2.0
/// The store, as far as it is SQL that every engine understands.
#pragma once

#include "hub/store/reads.hpp"
#include "hub/store/retention.hpp"
#include "hub/store/sql_access.hpp"
#include "hub/store/sql_certificates.hpp"
#include "hub/store/sql_commands.hpp"
#include "hub/store/sql_exchange.hpp"
#include "hub/store/sql_jobs.hpp"
#include "hub/store/sql_models.hpp"
#include "hub/store/sql_replicas.hpp"
#include "hub/store/sql_rollouts.hpp"
#include "hub/store/sql_rounds.hpp"
#include "hub/store/sql_spool.hpp"
#include "hub/store/sql_targets.hpp"
#include "hub/store/sql_uploads.hpp"
#include "hub/store/store.hpp"
#include "hub/store/writer.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace lapwing::hub {

class SqlStore : public Store {
 public:
  using Store::begin_ingest;
  [[nodiscard]] std::size_t lanes() const override { return access_.lanes(); }
  Result<std::unique_ptr<IngestTransaction>> begin_ingest(std::size_t lane) override;
  Result<std::uint64_t> mark_silent_offline(Time silent_since) override;

  Spool& spool() override { return spool_; }

  Result<void> register_device(const DeviceRegistration& registration) override;
  Result<void> register_devices(std::span<const DeviceRegistration> registrations) override;
  Result<void> revoke_device(const DeviceKey& key, Time at) override;
  Result<void> release_quarantine(const DeviceKey& key) override;
  Result<void> label_device(const DeviceKey& key, const Labels& labels) override;
  Result<DeviceRow> device(const DeviceKey& key) override {
    return access_.read([&](auto& db) { return reads::device(db, key); });
  }
  Result<Page<DeviceRow>> devices(std::string_view tenant, const PageRequest& page,
                                  const DeviceFilter& filter) override {
    return access_.read([&](auto& db) { return reads::devices(db, tenant, page, filter); });
  }
  Result<Ledger> ledger(const DeviceKey& key) override {
    auto row = device(key);
    if (!row) return row.error();
    return row->ledger;
  }

  Result<Page<StreamRow>> streams(const DeviceKey& key, const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::streams(db, key, page); });
  }
  Result<Page<LossRow>> losses(const DeviceKey& key, const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::losses(db, key, page); });
  }
  Result<History> history(const DeviceKey& key, const HistoryQuery& query) override {
    return access_.read([&](auto& db) { return reads::history(db, open_stream_, key, query); });
  }
  Result<Page<AnomalyRow>> anomalies(std::string_view tenant, const AnomalyFilter& filter,
                                     const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::anomalies(db, tenant, filter, page); });
  }
  Result<AnomalyRow> anomaly(const DeviceKey& key, std::uint64_t id) override {
    return access_.read([&](auto& db) { return reads::anomaly(db, key, id); });
  }
  Result<std::vector<FeedRow>> feed(std::string_view tenant, const FeedQuery& query) override {
    return access_.read([&](auto& db) { return reads::feed(db, tenant, query); });
  }
  Result<FeedBounds> feed_bounds(std::string_view tenant) override {
    return access_.read([&](auto& db) { return reads::feed_bounds(db, tenant); });
  }
  Result<Page<DeadLetterRow>> dead_letters(std::string_view tenant,
                                           const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::dead_letters(db, tenant, page); });
  }

  Result<void> add_token(const TokenRow& token) override;
  Result<TokenRow> token_by_hash(std::string_view hash) override {
    return access_.read([&](auto& db) { return reads::token_by_hash(db, hash); });
  }
  Result<Page<TokenRow>> tokens(std::string_view tenant, const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::tokens(db, tenant, page); });
  }
  Result<void> revoke_token(std::string_view tenant, std::string_view id, Time at) override;
  Result<void> add_enrolment(const EnrolmentRow& enrolment) override;
  Result<EnrolmentRow> consume_enrolment(std::string_view hash, Time at) override;
  Certificates& certificates() override { return certificates_; }

  Result<void> add_audit(const AuditRow& row) override;
  Result<Page<AuditRow>> audit(std::string_view tenant, const PageRequest& page) override {
    return access_.read([&](auto& db) { return reads::audit(db, tenant, page); });
  }
  Result<StoreTotals> totals() override {
    return access_.read([&](auto& db) -> Result<StoreTotals> {
      auto totals = reads::totals(db);
      if (totals) totals->bytes = bytes_on_disk(db);
      if (db.failed()) return db.failure();
      return totals;
    });
  }
  Result<void> check() override;
  Exchange& exchange() override { return exchange_; }
  Commands& commands() override { return commands_; }
  Jobs& jobs() override { return jobs_; }
  Models& models() override { return models_; }
  Uploads& uploads() override { return uploads_; }
  Replicas& replicas() override { return replicas_; }
  Rollouts& rollouts() override { return rollouts_; }
  Targets& targets() override { return targets_; }
  Rounds& rounds() override { return rounds_; }

 protected:
  /// What an engine needs on which several processes write to one store.
  struct Shared {
    std::string notify_commands;  ///< see SqlCommands
    SqlCommands::Listen listen;   ///< likewise
    std::string skip_locked;      ///< see SqlJobs
  };
  SqlStore(std::unique_ptr<Writer> writer, std::unique_ptr<sql::Connection> changes,
           SqlAccess::Serialize serialize, reads::OpenStream open_stream, Shared shared = {})
      : access_(std::move(writer), std::move(changes), std::move(serialize)),
        open_stream_(std::move(open_stream)),
        commands_(access_, std::move(shared.notify_commands), std::move(shared.listen)),
        jobs_(access_, std::move(shared.skip_locked)) {}

  [[nodiscard]] SqlAccess& access() { return access_; }
  virtual std::uint64_t bytes_on_disk(sql::Connection& db) = 0;

 private:
  SqlAccess access_;
  SqlSpool spool_{access_};
  SqlCertificates certificates_{access_};
  reads::OpenStream open_stream_;
  SqlExchange exchange_{access_};
  SqlCommands commands_;
  SqlJobs jobs_;
  SqlModels models_{access_};
  SqlUploads uploads_{access_};
  SqlReplicas replicas_{access_};
  SqlTargets targets_{access_, commands_};
  SqlRollouts rollouts_{access_, commands_};
  SqlRounds rounds_{access_};
};

}  // namespace lapwing::hub
