// SPDX-License-Identifier: Apache-2.0
/// Everything one process of the hub is made of, by its roles.
#pragma once

#include "hub/api/api.hpp"
#include "hub/api/store_watch.hpp"
#include "hub/config.hpp"
#include "hub/exchange/puller.hpp"
#include "hub/fleet/authorities.hpp"
#include "hub/fleet/certificate_keeper.hpp"
#include "hub/fleet/contribution_desk.hpp"
#include "hub/fleet/dispatcher.hpp"
#include "hub/fleet/enrolment.hpp"
#include "hub/fleet/file_desk.hpp"
#include "hub/fleet/offer_desk.hpp"
#include "hub/fleet/renewals.hpp"
#include "hub/ingest/ingest.hpp"
#include "hub/jobs/upkeep.hpp"
#include "hub/jobs/worker.hpp"
#include "hub/rollout/runner.hpp"
#include "hub/sink/sinks.hpp"
#include "hub/store/feed.hpp"
#include "hub/store/store.hpp"
#include "shared/base/files.hpp"
#include "shared/base/metrics.hpp"
#include "shared/base/result.hpp"
#include "shared/http/server.hpp"

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace lapwing::hub {

/// Made and ended by run_steps, in order. A part whose role is not wanted stays null.
struct Parts {
  HubConfig config;
  Metrics metrics = {};
  Feed feed = {};
  /// Two hubs on one SQLite store would both number the feed; keys too are one's own.
  std::optional<FileLock> lock = std::nullopt;
  std::unique_ptr<Store> store = nullptr;
  std::unique_ptr<FeedWatch> feed_watch = nullptr;
  std::unique_ptr<Sinks> sinks = nullptr;  ///< ingest hands records to them, so they end later
  std::optional<Authorities> authorities = std::nullopt;
  std::unique_ptr<CertificateKeeper> keeper = nullptr;  ///< of this replica's broker
  std::unique_ptr<Ingest> ingest = nullptr;
  std::unique_ptr<Dispatcher> dispatcher = nullptr;           ///< ingest tells it, so it ends later
  std::unique_ptr<OfferDesk> offers = nullptr;                ///< of the dispatcher's thread
  std::unique_ptr<FileDesk> files = nullptr;                  ///< likewise told by ingest
  std::unique_ptr<ContributionDesk> contributions = nullptr;  ///< likewise
  std::unique_ptr<Renewals> renewals = nullptr;               ///< likewise
  std::unique_ptr<Upkeep> upkeep = nullptr;
  std::unique_ptr<Worker> worker = nullptr;
  std::unique_ptr<rollout::Runner> rollouts = nullptr;
  std::unique_ptr<Puller> puller = nullptr;  ///< null: no rows of other regions are taken here
  std::unique_ptr<StoreWatch> store_watch = nullptr;
  std::unique_ptr<Enrolment> enrolment = nullptr;
  std::unique_ptr<Api> api = nullptr;
  std::unique_ptr<http::Server> server = nullptr;
  std::atomic<bool> draining = false;
  bool can_assign = true;  ///< see ApiOptions; other replicas' keys are not known here

  Result<void> start_store();
  void stop_store();
  Result<void> start_sinks();
  void stop_sinks() { sinks.reset(); }
  Result<void> start_certificates();
  void stop_certificates();
  Result<void> start_ingest();
  void stop_ingest();
  Result<void> start_worker();
  void stop_worker();
  Result<void> start_http();
  void stop_http();

  /// `https://127.0.0.1:8443`.
  [[nodiscard]] std::string address() const;
  /// Tells programs on this machine which port was taken.
  [[nodiscard]] std::filesystem::path port_file() const { return config.data_dir / "http.port"; }

 private:
  Result<http::Router> routes();
  void start_puller();
};

}  // namespace lapwing::hub
